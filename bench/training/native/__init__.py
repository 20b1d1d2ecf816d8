"""The CPU engine: a network's whole training step as machine code made for it."""
