"""What is changed of a command before it is executed here, so that it ends within seconds.

Each rule leaves the command what it is: the same program, the same names, the same options, other
amounts. A command that says `digits` itself, as the tutorial's do, is executed to the letter.

* A session of nox is executed as what it comes to after installing: `nox -s bench -- X` is `bench
  run X`.
* `bench run` trains one seed, of several the first, for one epoch on the digits that scikit-learn
  carries. Without a name it trains iteration 4 alone, where it would train all four.
* `bench verify` trains one recorded run of iteration 4 on digits again; of a ledger that the page
  has just filled with shortened runs, one of one epoch.
* `bench grade` gets 20 seconds, one seed and digits.
* In Python, `seeds=10` is one seed of one epoch on digits.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from documentation.shell import is_operator, split_words, translate_session

AMOUNTS = ("--seeds", "--epochs", "--time-budget", "--budget", "--sample", "--dataset")
"""Options with a value that a shortened command has its own of."""


def shorten_line(line: str, folder: Path) -> str:
    """Return what is executed for a line of shell; `folder` is where it will run."""
    parts: list[list[str]] = [[]]
    for word in split_words(line):
        if is_operator(word):
            parts += [[word], []]
        else:
            parts[-1].append(word)
    return " ".join(
        words[0] if is_operator(words[0]) else _write(words, folder) for words in parts if words
    )


def _write(words: list[str], folder: Path) -> str:
    words = translate_session(words)
    return shlex.join(_shorten(words, folder))


def _shorten(words: list[str], folder: Path) -> list[str]:
    if words[:1] != ["bench"] or len(words) < 2 or _names_digits(words):
        return words
    name, arguments = words[1], words[2:]
    if name == "run":
        return ["bench", "run", *_shorten_run(arguments, folder)]
    if name == "verify" and "--sample" in arguments and _value(arguments, "--sample") != "0":
        epochs = ["--epochs", "1"] if "--ledger" in arguments else []
        return [
            "bench",
            "verify",
            *_drop(arguments),
            *["--sample", "1", "--dataset", "digits"],
            *epochs,
        ]
    if name == "grade":
        amounts = ["--budget", "20s", "--seeds", "1", "--dataset", "digits"]
        return ["bench", "grade", *_drop(arguments), *amounts]
    return words


def _shorten_run(arguments: Sequence[str], folder: Path) -> list[str]:
    kept = [word for word in _drop(arguments) if word != "--until-decided"]
    if _value(kept, "--challenge") == "mnist":
        kept = _drop(kept, ("--challenge",))
    if (
        all(word.startswith("-") for word in kept[:1])
        and (folder / "models/iteration_4.py").exists()
    ):
        kept = ["iteration_4", *kept]
    challenge = [] if "--challenge" in kept else ["--dataset", "digits"]
    seeds = (_value(arguments, "--seeds") or "").partition("-")
    first = f"{seeds[0]}-{seeds[0]}" if seeds[1] else "1"
    return [*kept, "--seeds", first, "--epochs", "1", *challenge]


def _names_digits(words: Sequence[str]) -> bool:
    return "digits" in (_value(words, "--dataset"), _value(words, "--challenge"))


def _value(words: Sequence[str], option: str) -> str | None:
    return words[words.index(option) + 1] if option in words else None


def _drop(words: Sequence[str], options: Sequence[str] = AMOUNTS) -> list[str]:
    """Return the words without these options and their values."""
    return [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word not in options and before not in options
    ]


def shorten_python(text: str) -> str:
    """Return a block of Python with one seed of one epoch on digits in place of ten."""
    return re.sub(r"\bseeds=10\b", 'seeds=1, epochs=1, challenge="digits"', text)
