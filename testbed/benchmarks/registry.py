"""The benchmarks there are. A new one is a module with a `BENCHMARK`, and a line here."""

from __future__ import annotations

from importlib import import_module

from testbed.benchmarks.harness import Benchmark
from testbed.errors import InputError

_ROOMS = {
    "alto": "alto",
    "binding_table": "steering",
    "convergence": "ingress",
    "decision": "steering",
    "demo_ingress": "ingress",
    "faas": "functions",
    "flow_setup_datapath": "ingress",
    "flow_setup_reactive": "ingress",
    "generator": "stage",
    "link": "stage",
    "scale": "ingress",
    "sites": "stage",
    "staleness": "steering",
    "startup": "stage",
    "throughput": "ingress",
    "weight_update": "ingress",
}
NAMES = tuple(_ROOMS)


class UnknownBenchmark(InputError):
    """A name that no benchmark has."""


def load(name: str) -> Benchmark:
    """Return a benchmark; only then is imported what it measures. Raises UnknownBenchmark."""
    if name not in _ROOMS:
        raise UnknownBenchmark(f"there is no benchmark {name!r}; there are: {', '.join(NAMES)}")
    benchmark: Benchmark = import_module(f"{__package__}.{_ROOMS[name]}.{name}").BENCHMARK
    return benchmark
