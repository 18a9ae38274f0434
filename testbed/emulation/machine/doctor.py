"""`dyncast doctor`: can this machine run the testbed, with what, and what is the remedy if not?

Owns the order of the examination and how it is shown. What is probed is in `capabilities`, what is measured in
`self_test`. Without root it reports what can be found out, and that root is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.emulation.links.link_measure import MeasuredDirection
from testbed.emulation.machine import sandboxes
from testbed.emulation.machine.capabilities import (
    Backends,
    Capabilities,
    Capability,
    CapabilityError,
    choose_backends,
    probe,
)
from testbed.emulation.machine.self_test import SelfTest, self_test
from testbed.terminal import console as terminal


@dataclass(frozen=True)
class Examination:
    """Everything the doctor found. `backends` and `self_test` are None where something needed is missing."""

    capabilities: Capabilities
    backends: Backends | None
    missing: str
    self_test: SelfTest | None

    @property
    def ok(self) -> bool:
        """Return whether a run can be made and trusted here."""
        return self.self_test is not None and self.self_test.ok

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        return {
            "ok": self.ok,
            **self.capabilities.as_dict(),
            "backends": None
            if self.backends is None
            else {"datapath": self.backends.datapath, "link": self.backends.link},
            "missing": self.missing or None,
            "self_test": None if self.self_test is None else self.self_test.as_dict(),
        }


def examine() -> list[Capability]:
    """Return what this machine can do, row by row."""
    return list(probe().rows)


def examination(progress: Callable[[str], None] = lambda _message: None) -> Examination:
    """Probe, choose the backends a run would take, and try them out."""
    progress("probing")
    found = probe()
    capabilities = replace(found, rows=(*found.rows, *sandboxes.rows()))
    try:
        backends = choose_backends(capabilities)
    except CapabilityError as error:
        return Examination(capabilities, None, str(error), None)
    return Examination(capabilities, backends, "", self_test(backends, progress))


def run(as_json: bool) -> int:
    """Examine this machine and print what was found; return the exit code, 0 if runs can be made and trusted."""
    if as_json:
        found = examination()
        terminal.document(json.dumps(found.as_dict(), indent=1) + "\n")
    else:
        console = terminal.output()
        with console.status("examining") as status:
            found = examination(lambda message: status.update(Text(message)))
        show(found, console)
    return 0 if found.ok else 1


def show(found: Examination, console: Console) -> None:
    """Print an examination as a table and a verdict."""
    table = Table(box=None, pad_edge=False)
    for heading in ("capability", "", "found", "remedy"):
        table.add_column(heading, overflow="fold")  # commands must stay whole, to be copied
    for row in found.capabilities.rows:
        mark = ("yes", "green") if row.present else ("no", "red" if row.needed else "yellow")
        remedy = "" if row.present else row.remedy
        table.add_row(Text(row.name), Text(*mark), Text(row.detail), Text(remedy))
    console.print(table, soft_wrap=False)
    machine = found.capabilities.machine
    console.print(f"\n{machine['cores']} cores, {machine['memory_mb']} MB, kernel {machine['kernel']}")
    if found.backends is not None:
        console.print(
            f"a run takes: Open vSwitch datapath {found.backends.datapath}, link backend {found.backends.link}"
        )
    if found.self_test is not None:
        _show_self_test(found.self_test, console)
    if found.missing:
        console.print(_not_ready(found.missing), soft_wrap=True)
    elif found.ok:
        console.print(Text("ready", "green"))


def _not_ready(why: str) -> Text:
    return Text.assemble(("not ready:", "red"), f" {why}")


def _show_self_test(result: SelfTest, console: Console) -> None:
    if result.rtt_median_ms is not None:
        console.print(
            f"self-test: round trip {result.rtt_least_ms:.2f} ms, median {result.rtt_median_ms:.2f}"
            f" ({result.rtt_configured_ms:g} ms configured),"
            f" UDP loss {result.udp_loss_percent:.1f} %, TCP {result.tcp_mbps:.0f} Mbit/s"
        )
    if result.links and all(link.received for link in result.links):
        _show_links(result.links, console)
    for problem in result.problems:
        console.print(_not_ready(problem), soft_wrap=True)


def _show_links(links: Sequence[MeasuredDirection], console: Console) -> None:
    spec = links[0].spec
    delays_ms = [link.least_ms for link in links if link.least_ms is not None]
    losses = [100 * (1 - link.received / link.sent) for link in links]
    rates_mbps = [link.rate_mbps for link in links if link.rate_mbps is not None]
    console.print(
        f"{len(links) // 2} links of {spec.delay_ms:g} ms, {spec.loss_percent:g} % loss and {spec.rate_mbps:g} Mbit/s,"
        f" each way: {min(delays_ms):.2f} to {max(delays_ms):.2f} ms, {min(losses):.1f} to {max(losses):.1f} %,"
        f" {min(rates_mbps, default=0):.2f} to {max(rates_mbps, default=0):.2f} Mbit/s"
    )
