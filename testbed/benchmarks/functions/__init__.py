"""Benchmarks of functions at the edge: what a cluster adds to a function, warm and cold."""
