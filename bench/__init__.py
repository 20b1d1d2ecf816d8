"""Drilldown: prove, over many seeds, that a small network consistently reaches its target."""
