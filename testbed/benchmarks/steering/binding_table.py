"""What a bound flow costs in memory and to look up, at 10⁴ to 10⁶ bindings.

The pure table stands against a dictionary from tuples to tuples, what is in the switch against a packet that is
forwarded without a look at Dyncast. Each figure is from a process, or a switch, of its own: the resident memory of one
that has freed much says little.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from ipaddress import IPv4Address
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import NamedTuple

from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, Skipped, compare, measure
from testbed.benchmarks.steering.switch_tables import SwitchFigures, of_connections, of_entries
from testbed.dyncast.affinity.table import AffinityTable
from testbed.emulation.machine.capabilities import probe
from testbed.net.flow_key import TCP, FlowKey

_SIZES = (10_000, 100_000, 1_000_000)
_GOAL = Goal(250, Better.LOWER)
_LOOKUPS = 50_000
_FLOWS_PER_CLIENT = 20
_SWITCH_ROUNDS = 3
_D_SID = IPv4Address("203.0.113.10")
_CLIENTS = IPv4Address("10.0.0.0")
_D_BIDS = [IPv4Address("192.0.2.0") + number for number in range(100)]

Lookup = Callable[[FlowKey], object]


class _Figures(NamedTuple):
    bytes_per_binding: float
    found_ns: float
    not_found_ns: float


def _run(settings: Settings) -> Iterator[Row]:
    yield from _pure(settings)
    if settings.quick:
        return
    capabilities = probe()
    for needed in ("root", "open_vswitch"):
        if not capabilities.has(needed):
            raise Skipped(f"capability {needed} is missing: {capabilities.row(needed).remedy}")
    for size in _SIZES:
        rounds = 1 if size == _SIZES[-1] else _SWITCH_ROUNDS
        yield from _in_switch("conntrack", of_connections, size, rounds, "a packet of a bound flow")
        yield from _in_switch("openflow", of_entries, size, rounds, "the first packet that finds its entry")


def _in_switch(name: str, bind: Callable[[int], SwitchFigures], size: int, rounds: int, packet: str) -> Iterator[Row]:
    figures = [bind(size) for _ in range(rounds)]
    yield measure(
        f"binding_table/{name}/memory/{size}",
        "bytes",
        [found.bytes_per_binding for found in figures],
        note="per binding, resident in the switch",
    )
    own, plain = (iter([getattr(found, field) for found in figures]) for field in ("packet_us", "plain_us"))
    yield compare(
        f"binding_table/{name}/lookup/{size}", "µs", own.__next__, plain.__next__, rounds,
        note=f"processor time of the switch for {packet}; against plain forwarding",
    )  # fmt: skip


# -- the pure table --------------------------------------------------------------------------------


def _pure(settings: Settings) -> Iterator[Row]:
    for size in (_SIZES[0], _SIZES[-1]) if settings.quick else _SIZES:
        rounds = 1 if settings.quick else settings.rounds
        ours: list[_Figures] = []
        plain: list[_Figures] = []
        for _ in range(rounds):
            ours.append(_in_a_process_of_its_own(_fill_table, size))
            plain.append(_in_a_process_of_its_own(_fill_dictionary, size))
        yield measure(
            f"binding_table/pure/memory/{size}",
            "bytes",
            [figures.bytes_per_binding for figures in ours],
            note=f"per binding, resident; a dict of tuples takes {plain[0].bytes_per_binding:.0f}",
            goal=_GOAL if size == _SIZES[-1] else None,
        )
        for name, field, note in (
            ("lookup", "found_ns", "of a bound flow, its entry built; baseline: a dict of tuples"),
            ("lookup_of_new", "not_found_ns", "of a flow that is not bound; baseline: a dict of tuples"),
        ):
            own, other = ([getattr(figures, field) for figures in way] for way in (ours, plain))
            yield compare(
                f"binding_table/pure/{name}/{size}", "ns", iter(own).__next__, iter(other).__next__, rounds, note=note
            )


def _in_a_process_of_its_own(fill: Callable[[int], Lookup], size: int) -> _Figures:
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_measure, fill, size).result()


def _measure(fill: Callable[[int], Lookup], size: int) -> _Figures:
    before = _resident_bytes()
    lookup = fill(size)
    gc.collect()
    grown = _resident_bytes() - before
    rng = Random(1)
    found = [_flow(rng.randrange(size)) for _ in range(_LOOKUPS)]
    not_found = [_flow(size + number) for number in range(_LOOKUPS)]
    return _Figures(grown / size, _lookup_ns(lookup, found), _lookup_ns(lookup, not_found))


def _fill_table(size: int) -> Lookup:
    table = AffinityTable()
    for number in range(size):
        table.bind(_flow(number), _D_BIDS[number % len(_D_BIDS)], "east", 30, number / 1e3)
    return table.find


def _fill_dictionary(size: int) -> Lookup:
    table = {}
    for number in range(size):
        table[_flow(number)] = (number, _D_BIDS[number % len(_D_BIDS)], "east", 30, number / 1e3)
    return table.get


def _flow(number: int) -> FlowKey:
    """Return a flow as it would be read from a packet: all its parts are new."""
    client, port = divmod(number, _FLOWS_PER_CLIENT)
    return FlowKey(_CLIENTS + client, IPv4Address(int(_D_SID)), TCP, 1024 + 7 * client % 60000 + port, 443)


def _lookup_ns(lookup: Lookup, flows: Sequence[FlowKey]) -> float:
    before_ns = time.perf_counter_ns()
    for flow in flows:
        lookup(flow)
    return (time.perf_counter_ns() - before_ns) / len(flows)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


BENCHMARK = Benchmark("binding_table", "memory and lookup of bound flows, at 10⁴ to 10⁶", _run)
