"""How fast, and in how much memory: `python tests/perf --help`. The tests run none of it."""
