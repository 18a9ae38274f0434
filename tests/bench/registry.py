"""The benchmarks there are. A new one is a module with a `BENCHMARK`, and a line here."""

from __future__ import annotations

from importlib import import_module

from tests.bench.harness import Benchmark

_MODULES = (
    "binding_table",
    "convergence",
    "decision",
    "demo_ingress",
    "flow_setup_datapath",
    "flow_setup_reactive",
    "generator",
    "link",
    "scale",
    "staleness",
    "startup",
    "throughput",
    "weight_update",
)


def _benchmark(module: str) -> Benchmark:
    benchmark: Benchmark = import_module(f"{__package__}.{module}").BENCHMARK
    return benchmark


BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in map(_benchmark, _MODULES)}
