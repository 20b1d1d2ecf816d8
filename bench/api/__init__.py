"""What the commands do, for a script or a notebook: `bench.__all__` lists the names to use."""
