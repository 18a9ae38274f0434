"""Was the emulation true to the scenario? A verdict with its figures and reasons.

Pure: takes what was measured. `suspect`: read the numbers with care; `invalid`: they are the machine's, not
the network's. The thresholds are the constants here and in the other modules of this folder; docs/fidelity.md says why.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from testbed.emulation.links.link_measure import MeasuredDirection
from testbed.experiment.fidelity.link_fidelity import IdlePath, assess_idle_links, assess_links, assess_paths
from testbed.experiment.fidelity.process_gaps import GAP_INVALID_MS, GAP_SUSPECT_MS
from testbed.experiment.fidelity.verdict import Fidelity
from topologies.spec import LinkSpec

LINK_MEDIAN_SUSPECT_MS = 0.5  # what left a link later than it should: median
LINK_LATENESS_SUSPECT_MS = 2.0  # and 99th percentile
OVERLOAD_SUSPECT = 0.0001  # share of packets lost in front of a link or a switch that was too slow for them
GENERATOR_LATENESS_SUSPECT_MS = 3.0  # 99th percentile, mean over generators weighted by what they sent
LATENESS_INVALID_MS = 10.0
ACHIEVED_SUSPECT = 0.99  # share of the requested packets or flows that the generators sent
ACHIEVED_INVALID = 0.95
CPU_SUSPECT = 0.95  # busy share of all cores over the run
STEAL_SUSPECT = 0.05
CONTROL_DELAY_SUSPECT_MS = 20.0  # 99th percentile: messages of its switch to a D-Router's control process wait so long
CONTROL_DELAY_INVALID_MS = 200.0
HOST_DROPS_SUSPECT, HOST_DROPS_INVALID = (
    0.0001,
    0.01,
)  # share of packets that the machine dropped outside of emulated links
_NAMED = 3  # places of such drops that a reason names


def assess(
    *,
    links: dict[str, Any],
    switch_lost: int | None,
    cpu_share: float,
    steal_share: float,
    unclean: list[str],
    generators: Mapping[str, Mapping[str, Any]] = {},
    link_specs: Mapping[str, LinkSpec] = {},
    idle_links: Sequence[MeasuredDirection] = (),
    paths: Sequence[IdlePath] = (),
    control_delays_ms: Mapping[str, Sequence[float]] = {},
    stray_drops: Mapping[str, int] = {},
    received: int = 0,
) -> Fidelity:
    """Assess a run.

    `links`: statistics of the link backend; `switch_lost`: packets that switches had no time to read; `generators`: by
    generator and workload, `requested` and `achieved` counts and `lateness_ms` of its sending; `unclean`: processes
    that did not end well; `link_specs`: what each link was configured to do, by its label; `idle_links`: what each did
    before the traffic; `paths`: round trips before it; `control_delays_ms`: by control process, how long messages of
    its switch waited; `stray_drops`: packets dropped outside of links, by place, of `received` ones.
    """
    fidelity = Fidelity()
    assess_idle_links(fidelity, idle_links)
    assess_paths(fidelity, paths)
    lateness = links.get("lateness") or {}
    p50_ms, link_p99_ms = lateness.get("p50_ms"), lateness.get("p99_ms")
    fidelity.above(
        "link_lateness_p50_ms", p50_ms, LINK_MEDIAN_SUSPECT_MS, LATENESS_INVALID_MS,
        f"half of the packets left their link more than {p50_ms or 0:.2f} ms late",
    )  # fmt: skip
    fidelity.above(
        "link_lateness_p99_ms", link_p99_ms, LINK_LATENESS_SUSPECT_MS, LATENESS_INVALID_MS,
        f"1 % of packets left their link more than {link_p99_ms or 0:.2f} ms late",
    )  # fmt: skip
    dropped, carried = _overload(links)
    fidelity.above(
        "link_overload_share", dropped / max(1, carried + dropped), OVERLOAD_SUSPECT, 0.01,
        f"the links lost {dropped} packets that they had no time to read",
    )  # fmt: skip
    if switch_lost is None:
        fidelity.miss("how many packets found no room in the sockets of Open vSwitch", ["ss"])
    else:
        fidelity.above(
            "switch_overload_share", switch_lost / max(1, carried + switch_lost), OVERLOAD_SUSPECT, 0.01,
            f"the switches lost {switch_lost} packets that they had no time to read",
        )  # fmt: skip
    if links.get("failed"):
        fidelity.fail(f"links carried nothing in the end: {links['failed']}")
    impaired = [label for label, spec in link_specs.items() if not spec.is_plain]
    measured = {item.label for item in idle_links}
    fidelity.miss("what these links do at rest", [label for label in impaired if label not in measured])
    fidelity.miss("what these links did", [label for label in impaired if label not in links.get("links", {})])
    assess_links(fidelity, links, link_specs)
    _assess_host_drops(fidelity, stray_drops, received)
    assess_control(fidelity, control_delays_ms)
    assess_generators(fidelity, generators)
    fidelity.above("cpu_share", cpu_share, CPU_SUSPECT, None, f"all cores were {cpu_share:.0%} busy")
    fidelity.above("steal_share", steal_share, STEAL_SUSPECT, None, f"{steal_share:.0%} of the time was stolen")
    for name in unclean:
        fidelity.fail(f"{name} did not end cleanly")
    return fidelity


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def assess_generators(fidelity: Fidelity, generators: Mapping[str, Mapping[str, Any]]) -> None:
    """Judge how true generators were to their schedules."""
    requested = sum(sending["requested"] for sending in generators.values())
    achieved = sum(sending["achieved"] for sending in generators.values())
    if requested:
        fidelity.above(
            "generator_shortfall", 1 - achieved / requested, 1 - ACHIEVED_SUSPECT, 1 - ACHIEVED_INVALID,
            f"the generators sent {achieved / requested:.1%} of what was asked",
        )  # fmt: skip
    if achieved:
        # Each knows its own percentile only; one that sent little has a noisy one and little weight.
        p99_ms = sum(s["achieved"] * (s["lateness_ms"]["p99"] or 0.0) for s in generators.values()) / achieved
        fidelity.above(
            "generator_lateness_p99_ms", p99_ms, GENERATOR_LATENESS_SUSPECT_MS, LATENESS_INVALID_MS,
            f"generators sent 1 % of their flows or packets more than {p99_ms:.2f} ms late",
        )  # fmt: skip


def assess_control(
    fidelity: Fidelity, delays_ms: Mapping[str, Sequence[float]], expected: Collection[str] = ()
) -> None:
    """Judge the control process that was worst: it decides for its own ingress alone.

    `expected`: those that must have measured something.
    """
    measured = {name: delays for name, delays in delays_ms.items() if delays}
    fidelity.miss("how long what switches tell waits for these processes", [n for n in expected if n not in measured])
    if measured:
        longest_ms, name = max((max(delays), name) for name, delays in measured.items())
        fidelity.above(
            "control_delay_max_ms", longest_ms, GAP_SUSPECT_MS, GAP_INVALID_MS,
            f"what its switch told {name} once waited {longest_ms:.0f} ms to be handled",
        )  # fmt: skip
    p99s_ms = [(_p99_but_the_longest(delays), name) for name, delays in measured.items()]
    if p99s_ms:
        p99_ms, name = max(p99s_ms)
        fidelity.above(
            "control_delay_p99_ms", p99_ms, CONTROL_DELAY_SUSPECT_MS, CONTROL_DELAY_INVALID_MS,
            f"1 % of the messages of its switch to {name} waited more than {p99_ms:.1f} ms to be handled",
        )  # fmt: skip


def _p99_but_the_longest(delays: Sequence[float]) -> float:
    """Return the 99th percentile; of fewer than a hundred, the longest but one, for the longest is judged by itself."""
    return min(percentile(delays, 99), sorted(delays)[max(0, len(delays) - 2)])


def _assess_host_drops(fidelity: Fidelity, dropped: Mapping[str, int], received: int) -> None:
    total = sum(dropped.values())
    places = sorted((place for place, count in dropped.items() if count > 0), key=lambda place: -dropped[place])
    if received:
        fidelity.above(
            "stray_drop_share", total / (received + total), HOST_DROPS_SUSPECT, HOST_DROPS_INVALID,
            f"the machine dropped {total} packets outside of emulated links, at {', '.join(places[:_NAMED])}",
        )  # fmt: skip


def _overload(links: dict[str, Any]) -> tuple[int, int]:
    """Return the packets that all links lost for want of time, and those that they took in."""
    directions = [direction for link in links.get("links", {}).values() for direction in link.values()]
    dropped = sum(item.get("dropped_overload", 0) for item in directions)
    return dropped, sum(item.get("packets", 0) for item in directions)
