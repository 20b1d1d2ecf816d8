"""The command line: subcommands that load only what they use, and errors as one line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from bench import __version__
from bench.errors import BenchError
from bench.figures import make_printable

USAGE_ERROR = 2
INTERRUPTED = 130
HELP_OPTIONS = ["-h", "--help"]

COMMANDS = {
    "init": "Start a repository of your own, or its next iteration.",
    "run": "Train iterations over many seeds, judge them, write the page.",
    "list": "List the iterations, their recipes and the runs recorded.",
    "recipe": "Print a recipe as TOML, to start your own from.",
    "search": "Search recipes and widths by tuning seeds, stored and resumable.",
    "cost": "Count parameters and multiply-accumulates, layer by layer.",
    "judge": "Say what the recorded runs show: HOLDS, FAILS or UNDECIDED.",
    "watch": "Follow a ledger that another process is filling.",
    "compare": "Compare the accuracies of two iterations, with an interval.",
    "power": "Forecast how many seeds a verdict will take.",
    "budget": "Count parameters alone: exit 1 when over the budget.",
    "gate": "Fail a build that lacks the evidence: exit 0, 1, 2 or 3.",
    "report": "Write the page from the ledger alone, without torch.",
    "grade": "Grade a folder of submissions: a leaderboard and a spreadsheet.",
    "export": "Write runs as CSV, Parquet, MLflow or TensorBoard.",
    "merge": "Join ledgers of several machines into one, every run once.",
    "verify": "Retrain a sample of recorded runs, or check a bundle.",
    "bundle": "Write one archive that can be checked elsewhere.",
    "completion": "Print what lets bash, zsh or fish complete commands.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return it."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bench.commands.{cmd_name}")
        command: click.Command = module.command
        command.context_settings.setdefault("help_option_names", HELP_OPTIONS)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Complete the names of the commands without importing them, and the group's options."""
        named = [
            CompletionItem(name, help=line)
            for name, line in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command; the error for an unknown one lists those there are."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"{args[0]}: no such command; choose from {', '.join(COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": HELP_OPTIONS, "max_content_width": 100},
    epilog="Every command explains itself: bench COMMAND --help",
)
@click.version_option(__version__, prog_name="bench")
def bench() -> None:
    """Prove, over many seeds, that a small network consistently reaches its target.

    \b
    bench run                          train until every iteration is decided
    bench run iteration_4 --seeds 10   train the first ten seeds of one iteration
    bench judge                        read the verdicts
    bench gate                         exit 0 HOLDS, 1 FAILS, 3 UNDECIDED or stale, 2 usage
    """  # noqa: D301


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; our own errors become one line each."""
    try:
        code = bench.main(args=arguments, prog_name="bench", standalone_mode=False)
    except BenchError as error:
        return _complain(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return USAGE_ERROR
    except click.ClickException as error:
        return _complain(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        click.echo("bench: interrupted", err=True)
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _complain(message: str) -> int:
    """Print an error as one line, without what would steer a terminal."""
    click.echo(f"bench: error: {make_printable(' '.join(message.split()))}", err=True)
    return USAGE_ERROR


def run_as_script() -> None:
    """Run the command line and exit with its code."""
    sys.exit(main())
