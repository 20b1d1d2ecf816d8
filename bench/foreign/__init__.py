"""Model files that nobody here wrote, named on the command line and read without running them.

A file (`model.py:Net`), a module (`package.module:Net`) or a notebook (`notes.ipynb:Net`) becomes
an `Iteration` like those of `models`, with a recipe from elsewhere or its own.
"""

from __future__ import annotations

from bench.foreign.names import SUFFIXES, write_words
from bench.foreign.reading import change_epochs, change_recipe, find_iterations
from bench.foreign.sources import Source, find_source

__all__ = [
    "SUFFIXES",
    "Source",
    "change_epochs",
    "change_recipe",
    "find_iterations",
    "find_source",
    "write_words",
]
