"""Do all engines train the same? Short runs of each against the plain engine's, tested and tabled.

`python -m bench.equivalence --output docs/equivalence.md` writes the page. It trains on a split of
the training set with tuning seeds: no claim's seed and no test image is looked at.
"""
