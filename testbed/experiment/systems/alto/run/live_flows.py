"""Invocations while a run goes on: from which site to which cluster, and how they fare, as their rows grow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from testbed.experiment.live.flow_rates import FlowRates
from testbed.experiment.live.source import LiveFlows
from testbed.experiment.live.tail import Tail, all_rows
from testbed.experiment.systems.alto.launch.process_configs import users_name
from testbed.experiment.systems.alto.plan.plan import AltoPlan


class Invocations(LiveFlows):
    """The invocations of a run that writes to `work`."""

    def __init__(self, plan: AltoPlan, work: Path, rates: FlowRates) -> None:
        self._rates = rates
        self._site_of = {item.name: item.site for item in plan.clusters}
        self._tails = [Tail(work, "flows", users_name(client.name)) for client in plan.clients]

    def read(self) -> None:
        """Take in what was written since the last time."""
        for row in all_rows(self._tails):
            self._take(row)

    def close(self) -> None:
        """Let go of the files."""
        for tail in self._tails:
            tail.close()

    def _take(self, row: Mapping[str, str]) -> None:
        time_s = float(row["finished_s"] or row["due_s"])
        self._rates.ended(time_s, row["outcome"], float(row["completion_ms"]) if row["completion_ms"] else None)
        if row["started_s"] and row["due_s"]:
            self._rates.began_late(time_s, (float(row["started_s"]) - float(row["due_s"])) * 1e3)
        site = self._site_of.get(row["instance"])
        if site is not None:
            self._rates.steered(time_s, row["ingress"], site)
