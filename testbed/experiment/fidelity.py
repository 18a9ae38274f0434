"""Was the emulation true to the scenario? A verdict with its figures and reasons.

Pure: takes what was measured. `suspect`: read the numbers with care; `invalid`: they are the machine's, not
the network's. The thresholds are the constants below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LATENESS_SUSPECT_MS = 1.0  # 99th percentile of the relay or a generator
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
    link_lateness_p99_ms: float | None,
    cpu_share: float,
    steal_share: float,
    unclean: list[str],
) -> Fidelity:
    """Judge a run. `generators`: what each workload of each says of its sending; `unclean`: processes that did not end well."""
    fidelity = Fidelity()
    fidelity.above(
        "link_lateness_p99_ms", link_lateness_p99_ms, LATENESS_SUSPECT_MS, LATENESS_INVALID_MS,
        f"1 % of packets left their link more than {link_lateness_p99_ms or 0:.2f} ms late",
    )  # fmt: skip
    for name, sending in sorted(generators.items()):
        lateness_ms = sending["lateness_ms"]["p99"]
        fidelity.above(
            f"generator_lateness_p99_ms.{name}", lateness_ms, LATENESS_SUSPECT_MS, LATENESS_INVALID_MS,
            f"generator {name} sent 1 % more than {lateness_ms or 0:.2f} ms late",
        )  # fmt: skip
        if sending["requested"]:
            share = sending["achieved"] / sending["requested"]
            fidelity.above(
                f"generator_shortfall.{name}", 1 - share, 1 - ACHIEVED_SUSPECT, 1 - ACHIEVED_INVALID,
                f"generator {name} sent {share:.1%} of what was asked",
            )  # fmt: skip
    fidelity.above("cpu_share", cpu_share, CPU_SUSPECT, None, f"all cores were {cpu_share:.0%} busy")
    fidelity.above("steal_share", steal_share, STEAL_SUSPECT, None, f"{steal_share:.0%} of the time was stolen")
    for name in unclean:
        fidelity.fail(f"{name} did not end cleanly")
    return fidelity
