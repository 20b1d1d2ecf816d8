"""How much of a stranger's ledger or model file is read: generous for honest use, and bounded.

A gate reads what a pull request brings. Every bound here stands between it and a file that would
take all memory, never end, or make a page that no browser opens; what is beyond one is an error.
"""

from __future__ import annotations

MOST_LINE_BYTES = 4 << 20
"""A run of MNIST takes 9 kB; one that got every image wrong in three epochs, half a megabyte."""

MOST_FILE_BYTES = 64 << 30
"""A million runs of 64 kB, as a verdict reads them: line by line, without what it does not need."""

MOST_PAGE_FILE_BYTES = 16 << 30
"""A million runs of 16 kB, as a page reads them: it keeps three quarters of a line at most.

That is of a line with the mistakes of its last epoch only; of one as training writes it, an eighth.
"""

MOST_WHOLE_FILE_BYTES = 1 << 30
"""What is read with every mistake, to export or verify: 115,000 runs of MNIST, each an object."""

MOST_RUNS = 2_000_000
"""Lines of one file: every claim seed there is, under two sets of conditions."""

MOST_FILE_EPOCHS = 2 * 15 * 1_000_000
"""Epochs of one file: those of a million runs under two sets of conditions, 1.2 GB of memory."""

MOST_EPOCHS = 1_000
"""Epochs of one run or recipe, as `bench run --epochs` takes them; a challenge allows 15."""

MOST_BATCH = 65_536
"""Images of a batch in a recipe file: public answers take 32 to 1,024, MNIST has 60,000."""

MOST_IMAGES = 10_000_000
"""Images in an epoch: a hundred times MNIST."""

MOST_SEED = 999_999_999
"""The largest seed that the command line takes."""

MOST_BLOCK = 4_096
"""Seeds side by side, as `bench run --block` takes them."""

MOST_CLASSES = 1_000
"""Classes of a dataset: a confusion of each with each is a million pairs."""

MOST_LAYERS = 10_000
"""Layers of a network: ten of the deepest published ones."""

MOST_DIMENSIONS = 16
"""Dimensions of a layer's output."""

MOST_OPERATIONS = 10**15
"""Parameters, multiply-accumulates, calls: exact as floating-point numbers, which a chart has."""

MOST_LOSS = 1e30
"""Sums of a file's losses stay finite; a loss that is not ends its run as diverged."""

MOST_SECONDS = 1e9
"""Thirty years."""

MOST_CHARACTERS = 1_000
"""Names of devices, processors and systems have less than a hundred."""

MOST_GROUPS = 200
"""Sets of conditions and images of one iteration: each has its own section of the page."""

MOST_TOTALS = 64
"""Different numbers of images in an epoch: accuracies are compared over their common multiple."""

MOST_MISSING = 10_000
"""Missing seeds that are listed; a seed 999,999 alone would have a million."""

MOST_SOURCE_BYTES = 1 << 20
"""A model file or pyproject.toml; those here take 10 kB."""

MOST_NOTEBOOK_BYTES = 64 << 20
"""A notebook with its outputs; those with a hundred pictures take 5 MB."""

MOST_DATASET_BYTES = 2 << 30
"""Decoded images of one's own dataset, held by every worker: forty times MNIST."""

MOST_PICTURE_BYTES = 64 << 20
MOST_PICTURE_PIXELS = 1 << 26
"""One picture of a folder: what the largest cameras take."""

MOST_SOURCES = 1_000
"""Files of a models folder, or of what one iteration imports from there."""

MOST_NUMBER = 1e9
"""Any number of a recipe or a narrative."""

MOST_TEXT = 10_000
"""Characters of one text in a narrative: four pages."""

MOST_ENTRIES = 1_000
"""Entries of a tuple in a recipe or a narrative: milestones, sentences."""
