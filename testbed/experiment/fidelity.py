"""Was the emulation true to the scenario? A verdict with its figures and reasons.

Pure: takes what was measured. `suspect`: read the numbers with care; `invalid`: they are the machine's, not
the network's. The thresholds are the constants below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LINK_MEDIAN_SUSPECT_MS = 0.5  # what left a link later than it should: median
LINK_LATENESS_SUSPECT_MS = 2.0  # and 99th percentile
OVERLOAD_SUSPECT = 0.0001  # share of packets lost in front of a link or a switch that was too slow for them
GENERATOR_LATENESS_SUSPECT_MS = 3.0  # 99th percentile, mean over generators weighted by what they sent
LATENESS_INVALID_MS = 10.0
ACHIEVED_SUSPECT = 0.99  # share of the requested packets or flows that the generators sent
ACHIEVED_INVALID = 0.95
CPU_SUSPECT = 0.95  # busy share of all cores over the run
STEAL_SUSPECT = 0.05


@dataclass
class Fidelity:
    """The verdict so far; `measured` keeps every figure that went into it."""

    verdict: str = "valid"
    reasons: list[str] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)

    def above(self, name: str, value: float | None, suspect: float, invalid: float | None, what: str) -> None:
        """Judge a figure that should be small."""
        if value is None:
            return
        self.measured[name] = round(value, 6)
        if invalid is not None and value > invalid:
            self._say("invalid", f"{what} (limit {invalid:g})")
        elif value > suspect:
            self._say("suspect", f"{what} (limit {suspect:g})")

    def fail(self, reason: str) -> None:
        """Take note of something that makes the run invalid."""
        self._say("invalid", reason)

    def as_document(self) -> dict[str, Any]:
        """Return it for the manifest."""
        return {"verdict": self.verdict, "reasons": self.reasons, "measured": self.measured}

    def _say(self, verdict: str, reason: str) -> None:
        self.reasons.append(reason)
        if verdict == "invalid" or self.verdict == "valid":
            self.verdict = verdict


def judge(
    *,
    generators: dict[str, dict[str, Any]],
    links: dict[str, Any],
    switch_lost: int,
    cpu_share: float,
    steal_share: float,
    unclean: list[str],
) -> Fidelity:
    """Judge a run.

    `links`: statistics of the link backend; `switch_lost`: packets that switches had no time to read; `generators`: by
    generator and workload, `requested` and `achieved` counts and `lateness_ms` of its sending; `unclean`: processes
    that did not end well.
    """
    fidelity = Fidelity()
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
    fidelity.above(
        "switch_overload_share", switch_lost / max(1, carried + switch_lost), OVERLOAD_SUSPECT, 0.01,
        f"the switches lost {switch_lost} packets that they had no time to read",
    )  # fmt: skip
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
    fidelity.above("cpu_share", cpu_share, CPU_SUSPECT, None, f"all cores were {cpu_share:.0%} busy")
    fidelity.above("steal_share", steal_share, STEAL_SUSPECT, None, f"{steal_share:.0%} of the time was stolen")
    for name in unclean:
        fidelity.fail(f"{name} did not end cleanly")
    return fidelity


def _overload(links: dict[str, Any]) -> tuple[int, int]:
    """Return the packets that all links lost for want of time, and those that they took in."""
    directions = [direction for link in links.get("links", {}).values() for direction in link.values()]
    dropped = sum(item.get("dropped_overload", 0) for item in directions)
    return dropped, sum(item.get("packets", 0) for item in directions)
