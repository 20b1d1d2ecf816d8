"""Workflow commands and Markdown: escapes that a runner and a renderer undo."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.ci.github import Runner, defuse, find_runner, write_command
from bench.ci.summary import escape_markdown, fence

RENDERER = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
ANY_TEXT = st.text(max_size=60)


def undo(text: str, *, is_property: bool) -> str:
    """Undo escapes in the order of actions/runner, ActionCommand.cs: per cent comes last."""
    pairs = [("%0D", "\r"), ("%0A", "\n")]
    if is_property:
        pairs += [("%3A", ":"), ("%2C", ",")]
    for escaped, letter in (*pairs, ("%25", "%")):
        text = text.replace(escaped, letter)
    return text


@given(title=ANY_TEXT, message=ANY_TEXT)
def test_a_command_is_one_line_whose_parts_come_back(title: str, message: str) -> None:
    """The runner's parser finds the command, its one property and its message again."""
    line = write_command("error", message, title=title)

    assert "\n" not in line
    assert "\r" not in line
    head, _, data = line.removeprefix("::").partition("::")
    name, _, properties = head.partition(" ")
    key, _, value = properties.partition("=")
    assert (name, key) == ("error", "title")
    assert "," not in properties
    assert undo(value, is_property=True) == title
    assert undo(data, is_property=False) == message


@pytest.mark.parametrize("text", ["::error::x", "a ##[error]x", "::", ":::x::", "##[##[a"])
def test_defused_text_is_no_command(text: str) -> None:
    """Neither form of a command is left in it."""
    assert "##[" not in defuse(text)
    assert "::" not in defuse(text)


@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_escaped_text_is_text_in_a_cell(text: str) -> None:
    """A table with the text in one cell renders as that text alone: no tag, no other cell."""
    cell = escape_markdown(text)

    html = RENDERER.render(f"| a | b |\n| --- | --- |\n| {cell} | end |\n")

    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    assert body.count("<td") == 2
    assert {part.split(">")[0] for part in body.split("<")[1:]} <= {"tr", "td", "/td", "/tr"}


@given(text=st.text(st.sampled_from("`~ab \n"), max_size=40))
def test_a_fence_is_ended_by_nothing_in_it(text: str) -> None:
    """One block of code, whatever marks are in the command."""
    tokens = MarkdownIt("commonmark").parse(fence(text))

    assert [token.type for token in tokens] == ["fence"]


def test_a_runner_is_found_by_githubs_own_variable() -> None:
    """GITHUB_ACTIONS alone decides; files and folders may be missing."""
    assert find_runner({"CI": "true", "GITHUB_STEP_SUMMARY": "/x"}) is None
    assert find_runner({"GITHUB_ACTIONS": "true"}) == Runner(workspace=None, summary=None)
    found = find_runner(
        {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": "/w", "GITHUB_STEP_SUMMARY": "/s"}
    )
    assert found == Runner(workspace=Path("/w"), summary=Path("/s"))
