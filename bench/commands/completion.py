"""`bench completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

PROGRAM = "bench"
VARIABLE = "_BENCH_COMPLETE"
"""The variable in which the shell asks for completions, as click derives it from the program."""


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that lets a shell complete commands, options, iterations and challenges.

    The script asks `bench` itself at each press of the key; no model file is run and no torch is
    loaded. Load it where your shell starts:

    \b
    eval "$(bench completion bash)"             in ~/.bashrc, bash 4.4 or newer
    eval "$(bench completion zsh)"              in ~/.zshrc, below compinit
    bench completion fish > ~/.config/fish/completions/bench.fish
    """  # noqa: D301
    found = get_completion_class(shell)
    if found is None:  # pragma: no cover - click knows these three
        raise click.UsageError(f"{shell}: click cannot complete for it; name another shell")
    group = click.get_current_context().find_root().command
    click.echo(found(group, {}, PROGRAM, VARIABLE).source())
