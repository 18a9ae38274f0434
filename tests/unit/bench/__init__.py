"""Tests of the benchmarks in tests/bench."""
