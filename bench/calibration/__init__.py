"""How often is a verdict wrong? Campaigns with planted truths, simulated, judged and tabled.

`python -m bench.calibration --output docs/calibration.md` writes the page. Every row of a table
draws from a generator seeded with its table and its place, so the page is the same each time.
"""
