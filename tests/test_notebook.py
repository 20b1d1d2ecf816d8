"""docs/example.ipynb, executed in a kernel of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from export_reader import need

import bench

NOTEBOOK = Path(bench.__file__).parent.parent / "docs" / "example.ipynb"
SECONDS_A_CELL = 600
"""After which a kernel is taken for dead."""


def test_the_notebook_in_git_has_no_output() -> None:
    """What a cell shows is made by executing it; the file stays small."""
    import json

    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]

    assert NOTEBOOK.stat().st_size < 1 << 20
    assert all(not cell.get("outputs") for cell in cells)
    assert all(cell.get("execution_count") is None for cell in cells)


@pytest.mark.trainings
def test_the_notebook_shows_verdict_and_charts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own class is trained and judged, and the result is seen below the cell."""
    need("ipykernel")
    need("pandas")
    client = need("nbclient")
    nbformat = need("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent.parent))
    notebook = nbformat.read(NOTEBOOK, as_version=4)

    client.NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()

    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    htmls = [html for output in shown if (html := read_html(output))]
    verdict = next(html for html in htmls if "<svg" in html)
    assert "notebook-cells-Net: " in verdict
    assert verdict.count("<polyline") == 4
    assert (tmp_path / "report.html").stat().st_size > 10_000
    said = "".join(output.get("text", "") for output in shown)
    assert said.count(": finished, final epochs") == 4


def read_html(output: Any) -> str:
    """Return the HTML of a cell's output, nothing where it has none."""
    return str(output.get("data", {}).get("text/html", ""))
