"""RTP jitter as instances measured it (RFC 3550) against what the links of the way there were configured to do.

Of audio streams: their packets are 20 ms apart, further than links with the jitter checked here spread them, so that
no packet waits for the one before (`testbed.emulation.relay.impairment`: links keep order). Packets of several streams
on one such link may well meet; so streams that shared one at any moment are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testbed.analysis.run_data.configured import Configured, Hop
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.theory.formulas import mean_interval, rtp_jitter_s
from testbed.analysis.theory.theory_outcomes import CONFIDENCE, LeftOut, Outcome, TheoryCheck

PACKETS_APART_S = 0.020
MACHINE_S = 0.00005  # what relay and generator add to the mean difference of two transit times
_LEAST_STREAMS = 8
_SHARES = {"p50_ms": 0.5, "p95_ms": 0.45, "p99_ms": 0.04, "max_ms": 0.01}  # of frames that are no later than this


@dataclass(frozen=True)
class _Stream:
    number: int
    jitter_ms: float
    packets: int
    begin_s: float
    end_s: float


def jitter_checks(run: RunData, meant: Configured) -> Iterator[Outcome]:
    """Check the streams of each client to each instance whose way has jitter."""
    by_way: dict[tuple[str, str], list[_Stream]] = defaultdict(list)
    for row in audio_streams(run).itertuples():
        stream = _Stream(int(row.Index), row.jitter_ms, int(row.packets), row.begin_s, row.end_s)
        by_way[str(row.client), str(row.receiver)].append(stream)
    hosts = {item.name: item.host or item.name for item in run.manifest.instances}
    hops = {way: meant.hops(way[0], hosts.get(way[1], way[1])) for way in by_way}
    jittery = {way: [hop for hop in hops[way] if hop.spec.jitter_ms] for way in by_way}
    crowded = _crowded(by_way, jittery)
    for way, streams in by_way.items():
        if not jittery[way]:
            continue
        subject = f"{way[0]} to {way[1]}"
        why = _no_theory(hops[way], jittery[way])
        alone = [stream for stream in streams if stream.number not in crowded]
        if why is None and len(alone) < _LEAST_STREAMS:
            why = f"{len(alone)} streams had these links to themselves, and {_LEAST_STREAMS} are the least"
        if why is not None:
            yield LeftOut(subject, why)
            continue
        half_widths_s = [hop.spec.jitter_ms / 1e3 for hop in jittery[way]]
        added_ms = 1e3 * MACHINE_S + sum(2 * _mean_lateness_ms(run, hop) for hop in hops[way])
        yield check(subject, half_widths_s, alone, added_ms)


def check(subject: str, half_widths_s: Sequence[float], streams: Sequence[_Stream], added_ms: float) -> TheoryCheck:
    """Compare the mean of the streams' last estimates with their expectation; the machine added `added_ms` at most."""
    expected_ms = 1e3 * float(np.mean([rtp_jitter_s(half_widths_s, stream.packets) for stream in streams]))
    figure = mean_interval(np.array([stream.jitter_ms for stream in streams]), CONFIDENCE)
    figure = figure.widened(below=added_ms)
    return TheoryCheck("RTP jitter: RFC 3550 behind these links", subject, "ms", figure, expected_ms)


def audio_streams(run: RunData) -> pd.DataFrame:
    """Return the streams of audio that instances received: client, receiver, jitter_ms, packets, begin_s, end_s."""
    flows = run.flows[run.flows["kind"].astype(object) == "rtp_audio"]
    client_of = dict(zip(flows["src"].astype(str), flows["client"].astype(str), strict=True))
    received = run.rtp[(run.rtp["direction"].astype(object) == "up") & run.rtp["jitter_ms"].notna()]
    received = received[received["payload_type"] < 96]  # of a call of both, only the audio
    table = pd.DataFrame(
        {
            "client": received["src"].astype(str).map(client_of),
            "receiver": received["receiver"].astype(str),
            "jitter_ms": received["jitter_ms"],
            "packets": received["packets_received"] - received["duplicates"].fillna(0),
            "begin_s": received["first_s"],
            "end_s": received["last_s"],
        }
    )
    return table.dropna()


def _crowded(by_way: dict[tuple[str, str], list[_Stream]], jittery: dict[tuple[str, str], list[Hop]]) -> set[int]:
    """Return the streams that shared a link with jitter with another one for a while."""
    on_link: dict[str, list[_Stream]] = defaultdict(list)
    for way, streams in by_way.items():
        for hop in jittery[way]:
            on_link[hop.label] += streams
    crowded: set[int] = set()
    for streams in on_link.values():
        latest: _Stream | None = None
        for stream in sorted(streams, key=lambda item: item.begin_s):
            if latest is not None and stream.begin_s < latest.end_s:
                crowded |= {latest.number, stream.number}
            if latest is None or stream.end_s > latest.end_s:
                latest = stream
    return crowded


def _mean_lateness_ms(run: RunData, hop: Hop) -> float:
    """Return what the mean lateness of a link's frames is at most, by its percentiles."""
    lateness = run.manifest.link_counters.get(hop.label, {}).get(hop.direction, {}).get("lateness") or {}
    return sum(share * (lateness.get(name) or 0.0) for name, share in _SHARES.items())


def _no_theory(hops: Sequence[Hop], jittery: Sequence[Hop]) -> str | None:
    if 2e-3 * sum(hop.spec.jitter_ms for hop in jittery) >= PACKETS_APART_S:
        return "its links spread packets further than these are apart, so that some wait for others"
    for hop in jittery:
        if hop.spec.jitter_ms > hop.spec.delay_ms:
            return f"link {hop.label} has more jitter than delay, so that its delays are cut off at zero"
    limited = next((hop for hop in hops if hop.spec.rate_mbps is not None), None)
    return None if limited is None else f"link {limited.label} has a rate, where packets wait for other traffic"
