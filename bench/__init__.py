"""Drilldown: prove, over many seeds, that a small network consistently reaches its target."""

__version__ = "0.1.0"
