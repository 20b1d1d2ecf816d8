"""The names that torch and torchvision give to what a recipe file says, beside the recipe's own.

docs/recipes.md has the table; a test holds it against this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.errors import RecipeError
from models.recipe import AdamW, OneCycle

Table = dict[str, Any]
Read = Callable[[str, object, Any], Any]
"""Reads a value of a name as a type, or raises `FieldError`."""


class FieldError(RecipeError):
    """What is wrong with a field, which the message names, and what to do."""


def _unchanged(table: Table, _read: Read) -> Table:
    return table


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """What a `kind` of a file means: a type of the recipe, and other names of its fields.

    `defaults` are what a file leaves out, where that is not the type's own default; `required` are
    names that torch demands. `rewrite` turns what is no field of the type into fields.
    """

    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Names that `rewrite` knows."""
    rewrite: Callable[[Table, Read], Table] = _unchanged

    def name(self, own: str) -> str:
        """Return the name that a file has for a field."""
        return next((theirs for theirs, ours in self.fields.items() if ours == own), own)


TORCH_MOMENTUM = (0.85, 0.95)
"""`base_momentum` and `max_momentum` of OneCycleLR."""
TORCH_DECAY = 0.01
"""`weight_decay` of AdamW."""


def _split_betas(table: Table, read: Read) -> Table:
    """Turn `betas` into beta1 and beta2."""
    if "betas" not in table:
        return table
    beta1, beta2 = read("betas", table["betas"], tuple[float, float])
    _refuse_both(table, "betas", ("beta1", "beta2"))
    return _without(table, "betas") | {"beta1": beta1, "beta2": beta2}


def _read_cycle(table: Table, read: Read) -> Table:
    """Turn OneCycleLR's arguments about momentum and length into `momentum` and `steps`."""
    cycles = read("cycle_momentum", table.get("cycle_momentum", True), bool)
    low, high = (
        read(name, table.get(name, default), float)
        for name, default in zip(_MOMENTA, TORCH_MOMENTUM, strict=True)
    )
    given = [name for name in _MOMENTA if name in table]
    if given and not cycles:
        raise FieldError(f"{given[0]}: has no effect with cycle_momentum = false; leave it out")
    rest = _without(table, "cycle_momentum", *_MOMENTA, *_LENGTHS)
    rest["momentum"] = (low, high) if cycles else "constant"
    steps = _read_length(table, read)
    return rest if steps is None else rest | {"steps": steps}


def _read_length(table: Table, read: Read) -> int | None:
    """Return torch's `total_steps`, `None` where nothing is said: the whole run."""
    for name in _LENGTHS[1:]:
        if name in table:
            _refuse_both(table, name, ("total_steps",))
            if not all(each in table for each in _LENGTHS[1:]):
                other = next(each for each in _LENGTHS[1:] if each != name)
                raise FieldError(
                    f"{other}: missing beside {name}; leave both out for the whole run"
                )
    numbers = [read(name, table[name], int) for name in _LENGTHS if name in table]
    if not numbers:
        return None
    return int(numbers[0] if len(numbers) == 1 else numbers[0] * numbers[1])


_MOMENTA = ("base_momentum", "max_momentum")
_LENGTHS = ("total_steps", "epochs", "steps_per_epoch")


def _refuse_both(table: Table, name: str, others: tuple[str, ...]) -> None:
    for other in others:
        if other in table:
            raise FieldError(f"{other}: said twice, by {name} too; leave one out")


def _without(table: Table, *names: str) -> Table:
    return {name: value for name, value in table.items() if name not in names}


_RATE = {"lr": "rate"}
_ADAM = {"eps": "epsilon"}

VOCABULARIES: dict[str, Vocabulary] = {
    "Adam": Vocabulary(kind="Adam", fields=_ADAM, others=("betas",), rewrite=_split_betas),
    "AdamW": Vocabulary(
        kind=AdamW.__name__,
        fields=_ADAM,
        defaults={"weight_decay": TORCH_DECAY},
        others=("betas",),
        rewrite=_split_betas,
    ),
    "RMSprop": Vocabulary(kind="RMSprop", fields=_ADAM),
    "Adagrad": Vocabulary(
        kind="Adagrad",
        fields=_ADAM
        | {"lr_decay": "rate_decay", "initial_accumulator_value": "initial_accumulator"},
    ),
    "Adadelta": Vocabulary(kind="Adadelta", fields=_ADAM),
    "Constant": Vocabulary(kind="Constant", fields=_RATE),
    "StepLR": Vocabulary(kind="Step", fields=_RATE | {"step_size": "every", "gamma": "factor"}),
    "MultiStepLR": Vocabulary(kind="MultiStep", fields=_RATE | {"gamma": "factor"}),
    "ExponentialLR": Vocabulary(kind="Exponential", fields=_RATE | {"gamma": "factor"}),
    "CosineAnnealingLR": Vocabulary(
        kind="Cosine",
        fields=_RATE | {"T_max": "period", "eta_min": "final"},
        defaults={"per": "epoch"},
        required=("T_max",),
    ),
    "OneCycle": Vocabulary(kind=OneCycle.__name__, defaults={"momentum": TORCH_MOMENTUM}),
    "OneCycleLR": Vocabulary(
        kind=OneCycle.__name__,
        fields={
            "max_lr": "peak",
            "pct_start": "warmup",
            "anneal_strategy": "anneal",
            "div_factor": "start_divisor",
            "final_div_factor": "final_divisor",
        },
        others=("cycle_momentum", *_MOMENTA, *_LENGTHS),
        rewrite=_read_cycle,
    ),
}
"""By the `kind` of a file; every other kind is a type of the recipe with its own names."""

OWN_RATES = {"OneCycle", "OneCycleLR", "PiecewiseLinear"}
"""Schedules that set the rate whatever the optimiser's is."""
