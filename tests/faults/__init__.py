"""Faults injected on purpose, and what became of the runs: `nox -s faults` writes the table."""
