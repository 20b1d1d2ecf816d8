"""What is trained: one file per iteration, beside the recipe types and the shared skeleton."""
