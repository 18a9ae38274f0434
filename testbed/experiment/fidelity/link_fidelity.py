"""Did the links do what the scenario says? Delays and rates at rest before the traffic; rates, losses, drops during it.

Pure: takes what was measured of each link, and what D-Routers' probes and the link backend counted. Thresholds are the
constants below (docs/fidelity.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from testbed.emulation.links.link_measure import CROSSING_MS, MeasuredDirection, chance_of_losses
from testbed.experiment.fidelity.verdict import Fidelity
from topologies.spec import LinkSpec

PATH_MEDIAN_SUSPECT_MS, PATH_MEDIAN_INVALID_MS = 1.0, 10.0  # round trips at rest off the configured ones: half of them
PATH_WORST_SUSPECT_MS, PATH_WORST_INVALID_MS = 5.0, 20.0  # and the one furthest off
LINK_EARLY_INVALID_MS = 0.1  # the fastest frame, sooner than configured: no busy machine does that
LINK_LATE_SUSPECT_MS, LINK_LATE_INVALID_MS = 1.0, 10.0  # and later
RATE_SUSPECT, RATE_INVALID = 0.03, 0.10  # share by which a link that was full was off its rate
LOSS_CHANCE = 0.001  # a loss that random loss as configured makes with less probability than this is no chance
LOSS_INVALID = 0.2  # share by which such a loss is off the configured one
REJECTED_SUSPECT, REJECTED_INVALID = 0.0001, 0.01  # share of packets that the kernel did not take back from a link
_LEAST_FULL_S = 2.0
_PROBE_BITS = 8 * 128


class IdlePath(NamedTuple):
    """A path between two D-Routers: its least round trip before the traffic (None: not measured), and its links."""

    a: str
    b: str
    rtt_ms: float | None
    links: tuple[LinkSpec, ...]

    @property
    def configured_ms(self) -> float:
        """The round trip of a probe."""
        sending_ms = sum(_PROBE_BITS / spec.rate_mbps / 1e3 for spec in self.links if spec.rate_mbps)
        return 2 * (sum(spec.delay_ms for spec in self.links) + sending_ms)

    @property
    def error_ms(self) -> float | None:
        """How far off the round trip is, beyond what jitter can do and the crossing of each link takes."""
        if self.rtt_ms is None:
            return None
        allowed_ms = 2 * sum(spec.jitter_ms + CROSSING_MS for spec in self.links)
        return max(0.0, abs(self.rtt_ms - self.configured_ms) - allowed_ms)


def assess_paths(fidelity: Fidelity, paths: Sequence[IdlePath]) -> None:
    """Judge the delays at rest."""
    measured = [(error_ms, path) for path in paths if (error_ms := path.error_ms) is not None]
    if not measured:
        return
    middle_ms = median(error_ms for error_ms, _ in measured)
    fidelity.above(
        "path_delay_error_median_ms", middle_ms, PATH_MEDIAN_SUSPECT_MS, PATH_MEDIAN_INVALID_MS,
        f"before the traffic, half of the paths' round trips were off by more than {middle_ms:.2f} ms",
    )  # fmt: skip
    worst_ms, path = max(measured, key=lambda item: item[0])
    fidelity.above(
        "path_delay_error_worst_ms", worst_ms, PATH_WORST_SUSPECT_MS, PATH_WORST_INVALID_MS,
        f"before the traffic, {path.a} to {path.b} and back took {path.rtt_ms:.2f} ms, not {path.configured_ms:.2f}",
    )  # fmt: skip


def assess_idle_links(fidelity: Fidelity, measured: Sequence[MeasuredDirection]) -> None:
    """Assess what single frames met on each link at rest: its delay, its rate, and whether it carries anything."""
    if not measured:
        return
    fidelity.note("links_measured", len({item.label for item in measured}))
    earliest, latest = max(measured, key=lambda item: item.early_ms), max(measured, key=lambda item: item.late_ms)
    fidelity.above(
        "link_delay_early_ms", earliest.early_ms, LINK_EARLY_INVALID_MS, LINK_EARLY_INVALID_MS,
        _took(earliest, [item for item in measured if item.early_ms > LINK_EARLY_INVALID_MS]),
    )  # fmt: skip
    fidelity.above(
        "link_delay_late_ms", latest.late_ms, LINK_LATE_SUSPECT_MS, LINK_LATE_INVALID_MS,
        _took(latest, [item for item in measured if item.late_ms > LINK_LATE_SUSPECT_MS]),
    )  # fmt: skip
    rated = [(error, item) for item in measured if (error := item.rate_error) is not None]
    if rated:
        error, item = max(rated, key=lambda pair: pair[0])
        fidelity.above(
            "link_idle_rate_error", error, RATE_SUSPECT, RATE_INVALID,
            f"before the traffic, link {item.name} carried {item.rate_mbps:.3g} Mbit/s, not {item.spec.rate_mbps:g}",
        )  # fmt: skip
    _assess_probes(fidelity, measured)


def _took(item: MeasuredDirection, beyond: Sequence[MeasuredDirection]) -> str:
    others = f", and {len(beyond) - 1} more are off" if len(beyond) > 1 else ""
    return (
        f"before the traffic, link {item.name} took {item.least_ms or 0:.2f} ms, not {item.configured_ms:.2f}"
        f" ± {item.spec.jitter_ms:g}{others}"
    )


def _assess_probes(fidelity: Fidelity, measured: Sequence[MeasuredDirection]) -> None:
    worst = min(measured, key=lambda item: item.loss_chance)
    chance = min(1.0, worst.loss_chance * len(measured))  # of so many links one is the unluckiest
    fidelity.note("link_idle_loss_chance", chance)
    if chance < LOSS_CHANCE:
        lost = worst.sent - worst.received
        is_far_off = lost / worst.sent - worst.spec.loss_percent / 100 > LOSS_INVALID
        fidelity.say(
            "invalid" if is_far_off else "suspect",
            f"before the traffic, link {worst.name} lost {lost} of {worst.sent} frames,"
            f" not {worst.spec.loss_percent:g} %",
        )


def assess_links(fidelity: Fidelity, links: Mapping[str, Any], specs: Mapping[str, LinkSpec]) -> None:
    """Assess the statistics of the link backend against what each link was configured to do, by label."""
    directions = list(_directions(links, specs))
    for name, _, counted in directions:
        if counted.get("in_place") is False:
            fidelity.fail(f"link {name} lost what impairs it during the run")
    _assess_rates(fidelity, directions)
    _assess_losses(fidelity, directions)
    rejected = sum(counted.get("dropped_interface") or 0 for _, _, counted in directions)
    packets = sum(counted.get("packets") or 0 for _, _, counted in directions)
    if packets:
        fidelity.above(
            "link_rejected_share", rejected / packets, REJECTED_SUSPECT, REJECTED_INVALID,
            f"the kernel did not take {rejected} packets back from links",
        )  # fmt: skip


def _directions(
    links: Mapping[str, Any], specs: Mapping[str, LinkSpec]
) -> Iterator[tuple[str, LinkSpec, Mapping[str, Any]]]:
    for label, link in links.get("links", {}).items():
        for direction, counted in link.items():
            if label in specs:
                yield f"{label} ({direction})", specs[label], counted


def _assess_rates(fidelity: Fidelity, directions: Sequence[tuple[str, LinkSpec, Mapping[str, Any]]]) -> None:
    errors = [
        (abs(counted["full_mbps"] / spec.rate_mbps - 1), name, counted["full_mbps"], spec.rate_mbps)
        for name, spec, counted in directions
        if spec.rate_mbps and (counted.get("full_s") or 0.0) >= _LEAST_FULL_S
    ]
    if errors:
        error, name, full_mbps, rate_mbps = max(errors)
        fidelity.above(
            "link_rate_error", error, RATE_SUSPECT, RATE_INVALID,
            f"link {name} carried {full_mbps:.3g} Mbit/s while it was full, not {rate_mbps:g}",
        )  # fmt: skip


def _assess_losses(fidelity: Fidelity, directions: Sequence[tuple[str, LinkSpec, Mapping[str, Any]]]) -> None:
    tested = [
        (name, spec, counted, lost)
        for name, spec, counted in directions
        if counted.get("packets") and (lost := _random_losses(spec, counted)) is not None
    ]
    if not tested:
        return
    chances = [
        (chance_of_losses(counted["packets"], lost, spec.loss_percent / 100), name, spec, counted, lost)
        for name, spec, counted, lost in tested
    ]
    least, name, spec, counted, lost = min(chances, key=lambda item: item[0])
    # Of so many links one is the unluckiest.
    chance = min(1.0, least * len(chances))
    fidelity.note("link_loss_chance", chance)
    if chance < LOSS_CHANCE:
        percent = 100 * lost / counted["packets"]
        is_far_off = abs(percent - spec.loss_percent) > LOSS_INVALID * spec.loss_percent
        fidelity.say(
            "invalid" if is_far_off else "suspect",
            f"link {name} lost {percent:.3g} % of its packets at random, not {spec.loss_percent:g} % "
            f"(chance {chance:.1g}, limit {LOSS_CHANCE:g})",
        )


def _random_losses(spec: LinkSpec, counted: Mapping[str, Any]) -> int | None:
    """Return how many packets a direction lost at random; None where nobody knows.

    Behind a rate, netem counts losses and what its full queue dropped as one: too few are too few all the same.
    """
    lost, dropped = counted.get("dropped_loss"), counted.get("dropped")
    if lost is None and dropped is not None and dropped < counted["packets"] * spec.loss_percent / 100:
        return int(dropped)
    return lost
