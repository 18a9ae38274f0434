"""Benchmarks of steering without a network: decisions, binding tables, completion times by the age of metrics."""
