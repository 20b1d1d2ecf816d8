"""Execute every command and every block of Python of README and docs; count them.

python tests/documentation                  all documents, in a project that is made for it
python tests/documentation docs/ci.md       one of them
python tests/documentation --list           what would be executed, and what is only shown

Exit code 1 when a command fails, or prints something else than the document says.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # `bench` and `models`; `documentation`

from documentation.blocks import Block, list_documents, read_blocks  # noqa: E402
from documentation.execution import Outcome, Reader  # noqa: E402
from documentation.project import make_environment, make_project  # noqa: E402
from documentation.shortening import shorten_line  # noqa: E402


def main(arguments: Sequence[str]) -> int:
    """Execute the documents named, or all; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python tests/documentation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("documents", nargs="*", type=Path)
    parser.add_argument("--list", action="store_true", help="execute nothing")
    options = parser.parse_args(arguments)
    documents = [path.resolve() for path in options.documents] or list_documents()
    read = {path: list(read_blocks(path)) for path in documents}
    if options.list:
        list_blocks(read)
        return 0
    outcomes = execute(read)
    print(count(outcomes))
    return int(any(outcome.trouble for outcome in outcomes))


def list_blocks(read: dict[Path, list[Block]]) -> None:
    """Print what would be executed for each line."""
    for blocks in read.values():
        for block in blocks:
            for line in block.lines if block.language == "sh" else ():
                what = f"shown only ({block.reason})" if block.reason else shorten_line(line, ROOT)
                print(f"{block.place}: {line}\n    {what}")


def execute(read: dict[Path, list[Block]]) -> list[Outcome]:
    """Execute documents side by side, each in its own copy of a project; print each outcome."""
    with tempfile.TemporaryDirectory(prefix="documentation-") as name:
        environment = make_environment(Path(name))
        project = make_project(Path(name) / "project", environment)

        executed: set[str] = set()

        def execute_document(path: Path) -> list[Outcome]:
            own = Path(name) / path.stem
            shutil.copytree(project, own)
            outcomes = []
            reader = Reader(project=own, environment=environment, executed=executed)
            for outcome in reader.read(read[path]):
                outcomes.append(outcome)
                if outcome.kind in ("command", "Python", "output"):
                    print(describe(outcome), flush=True)
            return outcomes

        with ThreadPoolExecutor(max_workers=2) as pool:
            documents = [path for path, blocks in read.items() if blocks]
            return [each for done in pool.map(execute_document, documents) for each in done]


def describe(outcome: Outcome) -> str:
    """Return a line on a command, and what went wrong below it."""
    line = f"{outcome.place}: {outcome.what} ({outcome.seconds:.1f} s)"
    if outcome.trouble is None:
        return line
    return f"{line} FAILED, executed as {outcome.executed}\n{outcome.trouble}"


def count(outcomes: Sequence[Outcome]) -> str:
    """Return how many commands and blocks were executed, and what is only shown, with reasons."""
    kinds = Counter(outcome.kind for outcome in outcomes)
    reasons = Counter(outcome.executed for outcome in outcomes if outcome.kind == "shown")
    lines = [
        f"{kinds['command']} commands and {kinds['Python']} Python blocks executed, "
        f"{kinds['repeated']} commands are the same as one of them, "
        f"{kinds['output']} outputs compared, {kinds['TOML']} TOML blocks read, "
        f"{kinds['shown']} commands shown only:"
    ]
    lines += [f"  {number} shown only: {reason}" for reason, number in sorted(reasons.items())]
    failed = sum(outcome.trouble is not None for outcome in outcomes)
    return "\n".join([*lines, f"{failed} failed"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
