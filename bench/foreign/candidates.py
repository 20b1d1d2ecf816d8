"""Which class of a model file is meant: what its syntax tree says of its classes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from bench.errors import IterationError

_CONTAINERS = ("Module", "Sequential", "ModuleList", "ModuleDict")
"""Ends of the names of base classes that make a class a network."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The class that is trained, and what is to be told of how it was found."""

    network: str
    notes: tuple[str, ...]


def choose_class(tree: ast.Module, asked: str | None, name: str) -> Choice:
    """Return the class that is asked for, or the only network that no other class uses.

    `name` is how the user named the file.

    Raises:
        IterationError: there is no such class, or it is not clear which one is meant.
    """
    classes = [node for node in walk_top_level(tree.body) if isinstance(node, ast.ClassDef)]
    networks = _find_networks(classes)
    if asked is not None:
        return _check_asked(tree, classes, networks, asked, name)
    tops = _drop_parts(classes, networks)
    if len(tops) == 1:
        return Choice(network=tops[0], notes=_note_others(classes, tops[0]))
    if not networks:
        raise IterationError(
            f"{name}: defines no class that extends nn.Module{_name_imported(tree)}; name a file "
            "that does"
        )
    listed = ", ".join(tops or networks)
    raise IterationError(f"{name}: defines several networks ({listed}); name one, as in {name}:"
                         f"{(tops or networks)[-1]}")  # fmt: skip


def _check_asked(
    tree: ast.Module, classes: list[ast.ClassDef], networks: list[str], asked: str, name: str
) -> Choice:
    if any(node.name == asked for node in classes):
        return Choice(network=asked, notes=_note_others(classes, asked))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if asked == (alias.asname or alias.name):
                    raise IterationError(
                        f"{name}: imports {asked} from {'.' * node.level}{node.module or ''}; "
                        "name the file that defines it"
                    )
    known = f"its networks are {', '.join(networks)}" if networks else "it has no network"
    raise IterationError(f"{name}: defines no class {asked}; {known}")


def _note_others(classes: list[ast.ClassDef], network: str) -> tuple[str, ...]:
    count = sum(node.name == network for node in classes)
    if count < 2:
        return ()
    return (f"defines {count} classes {network}; the last one counts, as in Python",)


def _find_networks(classes: list[ast.ClassDef]) -> list[str]:
    """Return the names of the classes that extend a module of torch, directly or not.

    So does a class with a `forward` whose base nobody knows, of another file.
    """
    networks: dict[str, None] = {}
    for node in classes:
        forward = any(isinstance(n, ast.FunctionDef) and n.name == "forward" for n in node.body)
        if (node.bases and forward) or any(_is_network(base, networks) for base in node.bases):
            networks[node.name] = None
    return list(networks)


def _is_network(base: ast.expr, networks: dict[str, None]) -> bool:
    name = ast.unparse(base)
    return name in networks or name.rpartition(".")[2].endswith(_CONTAINERS)


def _drop_parts(classes: list[ast.ClassDef], networks: list[str]) -> list[str]:
    """Return the networks that no other class refers to, and whose forward takes images alone."""
    used = {
        each.id
        for node in classes
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and each.id != node.name
    }
    taking = {node.name for node in classes if _takes_images(node)}
    tops = [name for name in networks if name not in used]
    return [name for name in tops if name in taking] or tops


def _takes_images(node: ast.ClassDef) -> bool:
    """Say whether a class may be given images alone, unlike a loss."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "forward":
            needed = len(each.args.posonlyargs) + len(each.args.args) - len(each.args.defaults)
            return needed <= 2
    return True


def _name_imported(tree: ast.Module) -> str:
    """Say where a file that defines no network imports classes from."""
    modules = [
        f"{'.' * node.level}{node.module or ''}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] != "torch"
        and any(alias.name[:1].isupper() for alias in node.names)
    ]  # fmt: skip
    return f" (it imports classes from {', '.join(modules)})" if modules else ""


def walk_top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that importing a file executes, also those in `if`, `try` and `with`."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and is_main_guard(node):
            continue
        if isinstance(node, ast.If | ast.Try | ast.With):
            for inner in ("body", "handlers", "orelse", "finalbody"):
                for each in getattr(node, inner, []):
                    yield from walk_top_level(
                        each.body if isinstance(each, ast.ExceptHandler) else [each]
                    )


def is_main_guard(node: ast.stmt) -> bool:
    """Say whether a statement is `if __name__ == "__main__":`."""
    return isinstance(node, ast.If) and "__name__" in {
        each.id for each in ast.walk(node.test) if isinstance(each, ast.Name)
    }
