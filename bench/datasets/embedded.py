"""The digits that scikit-learn carries: a dataset where there is neither file nor network."""

from __future__ import annotations

import numpy as np
import torch

from bench.datasets.dataset import Dataset, make_dataset


def load_embedded_digits() -> Dataset:
    """Return scikit-learn's 1,797 digits, 8 x 8 pixels enlarged to 24 x 24 inside 28 x 28.

    Every fifth image is for validation (359); 1,438 are for training.
    """
    from sklearn.datasets import load_digits  # a second of imports, for the digits alone

    bunch = load_digits()
    grey = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)
    large = np.kron(grey, np.ones((1, 3, 3), dtype=np.uint8))
    images = torch.from_numpy(np.pad(large, ((0, 0), (2, 2), (2, 2))))
    labels = torch.from_numpy(bunch.target.astype(np.uint8))
    held_out = torch.arange(len(labels)) % 5 == 4
    return make_dataset(
        "digits", images[~held_out], labels[~held_out], images[held_out], labels[held_out]
    )
