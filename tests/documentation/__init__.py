"""README and docs, executed: `python tests/documentation`."""
