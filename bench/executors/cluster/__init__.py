"""Runs on a Ray cluster: nodes are asked what they are, code and images go there, units are tasks.

Ray is imported by the modules of this package alone, and these only where `--cluster` is given.
"""
