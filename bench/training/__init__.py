"""How one run is trained: streams of random numbers, the loop, evaluation."""
