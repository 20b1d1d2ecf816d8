"""Model files as iterations: name, class, arguments, recipe and fingerprint, nothing executed."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench import iterations as built_in
from bench.errors import IterationError, SettingsError
from bench.foreign.candidates import choose_class
from bench.foreign.names import is_model_name, make_ledger_name, parse_model_name
from bench.foreign.sources import Source, digest_sources, find_source
from bench.iterations import (
    LITERALS,
    MODELS,
    TRAINING_SEMANTICS,
    Iteration,
    Origin,
    list_iterations,
    read_literal,
    select_iterations,
)
from bench.literals import find_fault, shorten
from bench.recipes import find_recipe
from bench.syntax import TOO_DEEP, digest, list_values, name_assigned
from models.recipe import SGD, Constant, Narrative, Recipe

ADAPTATION_SEMANTICS = 1
"""Changes whenever another network is built of the same model file."""

_NO_RECIPE = Recipe(optimizer=SGD(), schedule=Constant(rate=0.1), batch_size=64, epochs=1)
_LONGEST_LITERAL = 10_000


def find_iterations(
    names: Sequence[str],
    *,
    recipe: str | None = None,
    arguments: Sequence[str] = (),
    root: Path | None = None,
    folder: Path = MODELS,
    trains: bool = True,
) -> tuple[Iteration, ...]:
    """Return iterations of `models` and model files by their names; all of `models` without names.

    `recipe` names the recipe of the model files (see `bench.recipes.find_recipe`), needed where a
    file has none of its own, unless nothing `trains`. `arguments` are `NAME=LITERAL`, for the
    constructor of the one model file that is named. `root` is the folder of the project, by default
    the working directory: names in the ledger are made from places in it. `folder` has the
    iterations.

    Raises:
        IterationError: a name stands for nothing, or its file cannot be read.
        RecipeError: the recipe cannot be had.
        SettingsError: an argument is none, or recipe or arguments have no model file to go to.
    """
    known = {iteration.path.resolve(): iteration for iteration in list_iterations(folder)}
    ours = {name: _find_built_in(name, known) for name in names}
    foreign = [name for name in names if is_model_name(name) and ours[name] is None]
    _check_options(foreign, recipe, arguments)
    given = parse_arguments(arguments)
    found = [
        _read(name, recipe, given, root or Path.cwd(), folder, trains=trains)
        if name in foreign
        else ours[name] or select_iterations((name,), folder)[0]
        for name in dict.fromkeys(names)
    ]
    _check_distinct(found)
    return tuple(found) or tuple(known.values())


def change_epochs(iteration: Iteration, *, epochs: int) -> Iteration:
    """Return an iteration trained for another number of epochs: another recipe and fingerprint."""
    return change_recipe(iteration, dataclasses.replace(iteration.recipe, epochs=epochs))


def change_recipe(
    iteration: Iteration, recipe: Recipe, arguments: tuple[tuple[str, str], ...] | None = None
) -> Iteration:
    """Return an iteration trained by another recipe: another fingerprint.

    `arguments`, as of `Iteration`, take the place of its own; only a model file takes any.
    """
    if iteration.origin is None:
        return built_in.change_recipe(iteration, recipe)
    given = iteration.arguments if arguments is None else arguments
    source = find_source(iteration.path)
    fingerprint = _fingerprint(source, iteration.network, given, recipe)
    return dataclasses.replace(iteration, recipe=recipe, arguments=given, fingerprint=fingerprint)


def parse_arguments(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return `NAME=LITERAL` as names with literals as Python writes them, sorted by name.

    Raises:
        SettingsError: one of them is not that.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, literal = text.partition("=")
        if not equals or not name.isidentifier():
            raise SettingsError(
                f"--argument {shorten(text)}: write NAME=VALUE, as in --argument dropout=0.1"
            )
        if name in found:
            raise SettingsError(f"--argument {shorten(text)}: {name} is given twice; leave one out")
        found[name] = _parse_literal(name, literal)
    return tuple(sorted(found.items()))


def _parse_literal(name: str, literal: str) -> str:
    try:
        if len(literal) > _LONGEST_LITERAL:
            raise ValueError(literal)
        return repr(ast.literal_eval(literal.strip()))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise SettingsError(
            f"--argument {name}={shorten(literal)}: not a literal of Python; write a number, True, "
            f"a list, or text in quotes, as in --argument \"{name}='text'\""
        ) from error


def _check_options(foreign: list[str], recipe: str | None, arguments: Sequence[str]) -> None:
    if recipe is not None and not foreign:
        raise SettingsError(
            f"--recipe {recipe}: iterations have their own; it is for model files, as in "
            f"model.py:Net --recipe {recipe}"
        )
    if arguments and len(foreign) != 1:
        raise SettingsError(
            f"--argument {shorten(arguments[0])}: name one model file that it is for"
        )


def _check_distinct(found: Sequence[Iteration]) -> None:
    seen: dict[str, Iteration] = {}
    for iteration in found:
        other = seen.setdefault(iteration.name, iteration)
        if other is not iteration:
            raise IterationError(
                f"{iteration.path}: has the same name in the ledger as {other.path}, "
                f"{iteration.name}; name one of them, or rename a file"
            )


def _find_built_in(name: str, known: Mapping[Path, Iteration]) -> Iteration | None:
    """Return the iteration whose own file a name is."""
    place, _, network = name.partition(":")
    path = Path(place)
    if path.suffix == ".py" and network in ("", "Network") and path.is_file():
        return known.get(path.resolve())
    return None


def _read(
    text: str,
    recipe: str | None,
    arguments: tuple[tuple[str, str], ...],
    root: Path,
    folder: Path,
    *,
    trains: bool,
) -> Iteration:
    name = parse_model_name(text)
    source = find_source(name.path)
    try:
        network = choose_class(source.tree, name.network, str(name.path)).network
        chosen = _choose_recipe(source, recipe, text, folder) if recipe or trains else _NO_RECIPE
        return Iteration(
            name=make_ledger_name(name.path, network, root),
            path=name.path.absolute(),
            narrative=_read_narrative(source, network, recipe),
            recipe=chosen,
            fingerprint=_fingerprint(source, network, arguments, chosen),
            network=network,
            arguments=arguments,
            origin=Origin(model=f"{name.path}:{network}", recipe=recipe),
        )
    except (RecursionError, MemoryError) as error:
        raise IterationError(f"{name.path}: {TOO_DEEP}") from error


def _choose_recipe(source: Source, recipe: str | None, text: str, folder: Path) -> Recipe:
    """Return the recipe that is named, else the file's own literal one."""
    if recipe is not None:
        return find_recipe(recipe, folder)
    if any(name_assigned(node) == "RECIPE" for node in source.tree.body):
        own: Recipe = read_literal(source.tree, source.path, "RECIPE")
        return own
    raise IterationError(
        f"{text}: no recipe to train it by; add --recipe iteration_4, or --recipe FILE.toml"
    )


def _read_narrative(source: Source, network: str, recipe: str | None) -> Narrative:
    """Return the file's own narrative, if it has one, else what is known of it."""
    if any(name_assigned(node) == "NARRATIVE" for node in source.tree.body):
        own: Narrative = read_literal(source.tree, source.path, "NARRATIVE")
        return own
    title = f"class {network} of {source.path.name}, trained by {recipe or 'its own recipe'}"
    fault = find_fault(title, 0)
    return Narrative(title="a model file" if fault else title, target=())


def _fingerprint(
    source: Source, network: str, arguments: tuple[tuple[str, str], ...], recipe: Recipe
) -> str:
    try:
        sources = digest_sources(source, frozenset(LITERALS))
    except OSError as error:
        raise IterationError(f"{error.filename}: cannot be read ({error.strerror})") from error
    return digest(
        [
            TRAINING_SEMANTICS,
            ADAPTATION_SEMANTICS,
            list_values(recipe),
            sources,
            network,
            arguments,
        ]
    )
