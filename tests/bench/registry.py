"""The benchmarks there are. A new one is a module with a `BENCHMARK`, and a line here."""

from __future__ import annotations

from types import ModuleType

from tests.bench import (
    binding_table,
    decision,
    demo_ingress,
    flow_setup_datapath,
    flow_setup_reactive,
    generator,
    link,
    startup,
    throughput,
    weight_update,
)
from tests.bench.harness import Benchmark

_MODULES: tuple[ModuleType, ...] = (
    binding_table,
    decision,
    demo_ingress,
    flow_setup_datapath,
    flow_setup_reactive,
    generator,
    link,
    startup,
    throughput,
    weight_update,
)

BENCHMARKS: dict[str, Benchmark] = {module.BENCHMARK.name: module.BENCHMARK for module in _MODULES}
