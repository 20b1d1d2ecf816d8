"""Where runs happen: a process per core, or one process on a GPU."""
