"""Many seeds in flight on one GPU: a block of K networks trained as one stack of tensors.

A network of some thousand parameters keeps a GPU busy for a few microseconds a layer, less than it
takes to launch the layer. So K seeds of one iteration go through each launch together, and a whole
step is one CUDA graph. A block is always K wide: seats that no seed takes are filled with copies of
the last one, so that a seed's arithmetic has the same shapes in every block. Its random numbers are
its own: initialisation, order and augmentation are those of the eager loop on the same device, and
dropout masks are a function of the seed alone.

Memory, for iteration 4 with batches of 128 in float32: an image keeps for its gradient
2 x (5,408 + 10,368) values of the two blocks before the pooling, 2 x 2,592 of their pooled maps and
as much again for positions, 4 x 4,640 of the four blocks after it and 784 pixels, 58,700 in all; as
columns, 71,000 more. That is 519 kB an image and 66 MB a seed: 4.3 GB at K = 64. The largest value
in flight beside it, the gradient of 41,472 columns an image, takes 1.4 GB and its two sums as much
again; the evaluation, 500 images of each seed without gradients, 5.3 GB of columns and 2 GB of maps
in the same pool. Less than 10 GB at K = 64, and half of it in bfloat16; counted, not measured. The
blocks of the last two iterations are kept, each with its own.
"""

from __future__ import annotations

from bench.training.stacked.block import METHOD, WIDTH, explain_refusal, train_block
from bench.training.stacked.stack import Method

__all__ = ["METHOD", "WIDTH", "Method", "explain_refusal", "train_block"]
