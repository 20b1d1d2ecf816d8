"""The page that goes beside a verdict: that of its iteration under its conditions alone."""

from __future__ import annotations

from bench.exports.collection import Group
from bench.report.page import render_page


def render_group(group: Group) -> str | None:
    """Return the page on a group's verdict, `None` for runs without one."""
    if group.verdict is None or group.verdict.evidence is None or group.iteration is None:
        return None
    return render_page([group.verdict], [group.iteration], group.challenge)
