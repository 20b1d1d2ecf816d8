"""The child that reads fuzzed lines: `python -m faults.fuzzing SOURCE FOLDER SEED LINES`.

Anything but a page or one of our own errors is a traceback, and its exit code 1. At the end it
tells how many lines it had, how many of them were read as runs, and the most memory it took.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from bench.challenges import MNIST
from bench.errors import BenchError
from bench.evidence import select_evidence
from bench.ledger import encode_run, read_ledger, read_outlines
from bench.records import Run
from bench.report.page import render_page
from bench.verdict import judge_all
from faults.samples import ITERATION, RECORDED, sample_file

RUNS_A_PAGE = 25
BODY = len('{"checksum":"0123456789abcdef",')
LINES = [b"{" + encode_run(run).rstrip(b"\n")[BODY:] for run in RECORDED[:4]]
ODD = [
    0, 1, -1, 2, 3, 9, 10, 255, 9_940, 9_941, 10_000, 10_001, 60_000, 60_001, 999_999, 1_000_000,
    1 << 31, 1 << 53, 1 << 63, 1 << 64, 10**30, 10**300, -(1 << 63), 0.5, -0.0, 1e-300, 1e30, 1e308,
    None, True, False, "", "0", "mnist", "iteration_4", "finished", "diverged", "../..", "\x00",
    "\x1b[2J", "</script>", "é" * 50, "x" * 2_000, [], {}, [[]], [[[]]], [[[1, 2, 3]]], {"a": {}},
]  # fmt: skip
TOKENS = [
    b"0", b"-", b"1e9", b"1e999", b"9" * 400, b"null", b"true", b"{}", b"[]", b"[" * 2_000, b'"',
    b"\\u0000", b"\\ud800", b"\xff", b"\n", b",", b":", b'"seed":0', b'"epochs":[]', b" ",
]  # fmt: skip


class Reader:
    """Reads lines as the commands do, and counts; runs that are read go on to a page together."""

    def __init__(self, folder: Path) -> None:
        self._path = sample_file(folder / "ledger")
        self._waiting: list[Run] = []
        self.lines = self.read = 0

    def take(self, body: bytes) -> None:
        """Give a line its checksum and take it all the way that it goes."""
        checksum = hashlib.sha256(body[1:]).hexdigest()[:16].encode()
        self._path.write_bytes(b'{"checksum":"' + checksum + b'",' + body[1:] + b"\n")
        self.lines += 1
        try:
            runs = read_ledger(self._path).runs
            outlines = read_outlines(self._path).runs
            if len(runs) != len(outlines):
                raise AssertionError("whole runs and outlines differ")
            judge_all(select_evidence(outlines, ITERATION), ITERATION, MNIST)
        except BenchError as error:
            if not str(error).strip():
                raise AssertionError("an error says nothing") from error
            return
        self.read += len(runs)
        self._waiting += runs
        if len(self._waiting) >= RUNS_A_PAGE:
            self.render()

    def render(self) -> None:
        """Make the page of all runs that wait, each the next seed of today's iteration."""
        runs = [
            msgspec.structs.replace(run, seed=seed, fingerprint=ITERATION.fingerprint)
            for seed, run in enumerate(self._waiting)
        ]
        together = [msgspec.structs.replace(run, conditions=runs[0].conditions) for run in runs]
        self._waiting = []
        for shown in (runs, together):
            try:
                verdicts = judge_all(select_evidence(shown, ITERATION), ITERATION, MNIST)
                if "</html>" not in render_page(verdicts, [ITERATION], MNIST):
                    raise AssertionError("half a page")
            except BenchError:
                continue


def mutate_bytes(line: bytes, generator: random.Random) -> bytes:
    """Return a line with some bytes changed, cut, doubled, or replaced by odd tokens."""
    content = bytearray(line)
    for _ in range(generator.choice((1, 1, 1, 2, 4, 16))):
        start = generator.randrange(len(content))
        end = min(len(content), start + generator.choice((0, 1, 1, 2, 8, 64)))
        kind = generator.randrange(4)
        if kind == 0:
            content[start:end] = generator.choice(TOKENS)
        elif kind == 1:
            content[start:end] = generator.randbytes(end - start)
        elif kind == 2:
            content[start:end] = content[start:end] * 2
        else:
            content[start] ^= 1 << generator.randrange(8)
    return bytes(content)


def mutate_values(line: bytes, choose: Callable[[int], int]) -> bytes:
    """Return a line with one value, anywhere in it, replaced, left out, doubled or moved."""
    fields = json.loads(line)
    for _ in range(1 + choose(3)):
        holder, key = _pick(fields, choose)
        kind = choose(6)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.extend(holder[: 1 + choose(40)])
        elif kind > 2 and isinstance(holder[key], int | float):
            holder[key] = abs(holder[key] + choose(9) - 4)
        elif kind > 2 and isinstance(holder[key], str):
            holder[key] = f"{holder[key]}{chr(choose(0x300))}"
        else:
            holder[key] = ODD[choose(len(ODD))]
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _pick(fields: Any, choose: Callable[[int], int]) -> tuple[Any, Any]:
    """Return one place of a tree of lists and dictionaries: what holds it, and its key there."""
    holder = fields
    while True:
        keys = sorted(holder) if isinstance(holder, dict) else range(len(holder))
        key = keys[choose(len(keys))]
        inner = holder[key]
        if not (isinstance(inner, dict | list) and inner) or choose(5) == 0:
            return holder, key
        holder = inner


def fuzz_by_mutation(reader: Reader, number: int, lines: int) -> None:
    """Mutate bytes and values in turn, from a generator of the given seed."""
    generator = random.Random(number)
    for place in range(lines):
        line = LINES[generator.randrange(len(LINES))]
        if place % 3 == 0:
            reader.take(mutate_bytes(line, generator))
        else:
            reader.take(mutate_values(line, generator.randrange))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
    | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def _like(value: Any) -> st.SearchStrategy[Any]:
    """Return values of the same type, so that half of the lines are runs."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.integers(0, 2 * abs(value) + 4)
    if isinstance(value, float):
        return st.floats(0, 1e30)
    if isinstance(value, str):
        return st.text(max_size=60)
    if isinstance(value, list):
        return st.lists(st.sampled_from(value), max_size=40) if value else st.just([])
    return JSON


def fuzz_by_hypothesis(reader: Reader, number: int, lines: int) -> None:
    """Put any JSON at any place of a recorded line; NaN and infinity as Python writes them."""

    @seed(number)
    @settings(
        max_examples=lines, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(line=st.sampled_from(LINES), data=st.data())
    def read(line: bytes, data: st.DataObject) -> None:
        fields = json.loads(line)
        draw = data.draw
        holder, key = _pick(fields, lambda most: draw(st.integers(0, most - 1)))
        holder[key] = draw(_like(holder[key]) | JSON)
        reader.take(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())

    while reader.lines < lines:  # it may find that it has tried everything
        read()


def fuzz_by_coverage(reader: Reader, number: int, lines: int, tell: Callable[[], None]) -> None:
    """Let atheris choose what is mutated; what reads the lines is instrumented."""
    import atheris

    def read(data: bytes) -> None:
        if reader.lines >= lines:
            tell()
            os._exit(0)  # atheris never returns
        provider = atheris.FuzzedDataProvider(data)
        line = LINES[provider.ConsumeIntInRange(0, len(LINES) - 1)]
        if provider.ConsumeBool():
            start = provider.ConsumeIntInRange(0, len(line) - 1)
            length = provider.ConsumeIntInRange(0, 64)
            content = provider.ConsumeBytes(64)
            reader.take(line[:start] + content + line[start + length :])
        else:
            reader.take(mutate_values(line, lambda most: provider.ConsumeIntInRange(0, most - 1)))

    for function in (read_ledger, read_outlines, select_evidence, judge_all, render_page):
        atheris.instrument_func(function)
    atheris.instrument_func(read)
    options = [f"-seed={number}", "-max_len=512", "-verbosity=0", "-timeout=60",
               "-rss_limit_mb=512"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], read)
    atheris.Fuzz()


SOURCES = {"mutate": fuzz_by_mutation, "hypothesis": fuzz_by_hypothesis}


def main(source: str, folder: Path, number: int, lines: int) -> None:
    """Fuzz, and tell what came of it."""
    escaped = folder / "escaped"
    escaped.mkdir(parents=True)
    reader = Reader(folder)
    os.chdir(escaped)

    def tell() -> None:
        reader.render()
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"fuzzed {reader.lines} {reader.read} {kilobytes}", flush=True)

    if source == "atheris":
        fuzz_by_coverage(reader, number, lines, tell)
    else:
        SOURCES[source](reader, number, lines)
        tell()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
