"""Benchmarks: how fast the testbed's parts are, each against a baseline in the same run. A new one: `registry`."""
