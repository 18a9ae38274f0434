"""Packets that went in came out, or somebody counted where they stayed.

Two statements: each direction of a link accounts for every frame that it took in; and the RTP packets that never came
back are those that the links on their way, the switches and the instances say they lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from testbed.analysis.run_data.configured import Configured
from testbed.analysis.run_data.flow_kinds import is_rtp
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.theory.formulas import Interval
from testbed.analysis.theory.theory_outcomes import LeftOut, Outcome, TheoryCheck
from testbed.records.manifest import LinkCounters

_OTHER_WAY = {"a_to_b": "b_to_a", "b_to_a": "a_to_b"}
_WAYS_OUT = ("delivered", "waiting", "dropped_loss", "dropped_queue", "dropped_interface")
_DROPS = ("dropped_loss", "dropped_queue", "dropped_interface", "dropped_overload")


def conservation_checks(run: RunData, meant: Configured) -> Iterator[Outcome]:
    """Check links, then the RTP packets of the run."""
    links = run.manifest.link_counters
    if run.manifest.link_backend != "relay":
        yield LeftOut("links", "the kernel's netem does not say where packets stayed, or no link is impaired")
        return
    yield frames(links)
    yield from _rtp(run, meant, links)


def frames(links: LinkCounters) -> TheoryCheck:
    """Compare what all directions of all links took in with what became of it."""
    directions = [direction for link in links.values() for direction in link.values()]
    took_in = sum(int(item["packets"]) for item in directions)
    accounted = sum(int(item[way] or 0) for item in directions for way in _WAYS_OUT)
    return TheoryCheck(
        "frames out, waiting and lost: frames in", f"{len(links)} links", "frames",
        Interval(accounted, accounted, accounted), took_in,
    )  # fmt: skip


def _rtp(run: RunData, meant: Configured, links: LinkCounters) -> Iterator[Outcome]:
    streams = run.flows[is_rtp(run.flows)].drop_duplicates("flow_id")
    streams = streams[streams["packets_sent"].fillna(0) > 0]
    if streams.empty:
        return
    if run.manifest.faults:
        yield LeftOut("RTP packets", "faults hit the run: what a cut link swallows, nobody counts")
        return
    if streams["instance"].isna().any():
        yield LeftOut("RTP packets", f"{int(streams['instance'].isna().sum())} streams reached no instance")
        return
    missing = float(streams["packets_sent"].sum() - streams["packets_received"].sum())
    lost, most_of_others = _lost_on_the_way(run, meant, links, streams)
    lost += _refused(run, set(streams["instance"].astype(str)))
    by_machine = (run.manifest.switch_lost_packets or 0) + sum((run.manifest.stray_drops or {}).values())
    # Of what links lost, some may have been packets of others: of no more than those that got through. And what the
    # machine dropped outside of links may have been anybody's.
    yield TheoryCheck(
        "RTP packets lost by links and instances: sent less received", f"{len(streams)} streams", "packets",
        Interval(lost, lost - most_of_others, lost + by_machine), missing,
    )  # fmt: skip


def _lost_on_the_way(run: RunData, meant: Configured, links: LinkCounters, streams: pd.DataFrame) -> tuple[int, int]:
    """Return what the links that RTP crossed lost, and how many packets of others these links let through."""
    hosts = {item.name: item.host or item.name for item in run.manifest.instances}
    up = _received_by_instances(run)
    through: Counter[tuple[str, str]] = Counter()
    ways = streams.groupby(["client", "instance"], observed=True)
    for (client, instance), group in ways:
        ends = group[["src", "src_port"]].drop_duplicates()  # ports are used again
        there = sum(up.get(end, 0) for end in zip(ends["src"], ends["src_port"], strict=True))
        back = int(group["packets_received"].sum())
        for hop in meant.hops(str(client), hosts[instance]):
            through[hop.label, hop.direction] += there
            through[hop.label, _OTHER_WAY[hop.direction]] += back
    lost = others = 0
    for (label, direction), packets in through.items():
        counted = links.get(label, {}).get(direction)
        if counted is None:  # a plain link: nothing is lost there but by the machine
            continue
        dropped = sum(int(counted[way] or 0) for way in _DROPS)
        lost += dropped
        if dropped:
            others += min(dropped, max(0, int(counted["delivered"]) - packets))
    return lost, others


def _received_by_instances(run: RunData) -> dict[tuple[str, int], int]:
    """Return the distinct packets of each stream that an instance received, by the stream's address and port."""
    received = run.rtp[run.rtp["direction"].astype(object) == "up"]
    distinct = (received["packets_received"] - received["duplicates"].fillna(0)).astype(int)
    totals: Counter[tuple[str, int]] = Counter()
    for src, port, packets in zip(received["src"], received["src_port"], distinct, strict=True):
        totals[src, port] += packets
    return totals


def _refused(run: RunData, instances: set[str]) -> int:
    last = run.instances.sort_values("time_s").drop_duplicates("instance", keep="last")
    return int(last.loc[last["instance"].astype(object).isin(instances), "refused"].sum())
