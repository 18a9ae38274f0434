"""Benchmarks of the stage: its start, its links, its generator of load."""
