"""Flows from ingress to site while a run goes on, and how they fare: from flows, decisions and weights as they grow.

Which instance serves a flow stands in the flow's own row where the client learnt it (HTTP) or chose the address itself;
else in the decision of its ingress; and where the switch binds flows by itself, they are spread by the weights that
were set last.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.experiment.live.flow_rates import FlowRates
from testbed.experiment.live.source import LiveFlows
from testbed.experiment.live.tail import Tail, all_rows
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan

Row = Mapping[str, str]


class DyncastFlows(LiveFlows):
    """The flows of a run that writes to `work`."""

    def __init__(self, plan: DyncastPlan, work: Path, rates: FlowRates) -> None:
        self._rates = rates
        self._site_of = {item.name: item.site for item in plan.instances}
        self._site_of_d_bid = {item.d_bid: item.site for item in plan.instances}
        self._ingress_of = {client.name: client.site for client in plan.clients}
        self._ingress_of_address = {
            str(address.ip): client.site
            for client in plan.clients
            for host in [plan.addresses.host(client.name)]
            for address in (host.ipv4, host.ipv6)
        }
        self._by_decisions, self._by_weights = _without_answers(plan)
        self._weights: dict[tuple[str, str], dict[str, int]] = {}
        controls = [f"control@{name}" for name in (*plan.sites, *plan.dispatchers)]
        self._flow_tails = [Tail(work, "flows", client.name) for client in plan.clients]
        self._decision_tails = [Tail(work, "decisions", name) for name in controls if self._by_decisions]
        self._weight_tails = [Tail(work, "weights", name) for name in controls if self._by_weights]

    def read(self) -> None:
        """Take in weights, decisions and flows."""
        for row in all_rows(self._weight_tails):
            self._weights.setdefault((row["d_router"], row["d_sid"]), {})[row["d_bid"]] = int(row["weight"])
        for row in all_rows(self._decision_tails):
            self._take_decision(row)
        for row in all_rows(self._flow_tails):
            self._take_flow(row)

    def close(self) -> None:
        """Let go of the files."""
        for tail in (*self._flow_tails, *self._decision_tails, *self._weight_tails):
            tail.close()

    def _take_decision(self, row: Row) -> None:
        by_site = self._by_decisions.get(row["d_sid"])
        if by_site is None or (by_site and row["d_bid"]):
            return  # of a service whose flows say it themselves; or the egress's own choice for a flow counted before
        ingress = self._ingress_of_address.get(row["src"], row["d_router"])
        self._rates.steered(float(row["time_s"]), ingress, self._site_of_d_bid.get(row["d_bid"], row["egress"]))

    def _take_flow(self, row: Row) -> None:
        time_s = float(row["finished_s"] or row["due_s"])
        self._rates.ended(time_s, row["outcome"], float(row["completion_ms"]) if row["completion_ms"] else None)
        if row["started_s"] and row["due_s"]:
            late_ms = (float(row["started_s"]) - float(row["due_s"])) * 1e3 - float(row["resolution_ms"] or 0)
            self._rates.began_late(time_s, late_ms)
        if row["d_sid"] in self._by_decisions:
            return
        ingress = self._ingress_of[row["client"]]
        site = self._site_of.get(row["instance"]) or self._site_of_d_bid.get(row["dst"])
        if site is not None:
            self._rates.steered(time_s, ingress, site)
        elif row["d_sid"] in self._by_weights:
            weights = self._weights.get((ingress, row["d_sid"]), {})
            total = sum(weights.values())
            for d_bid, weight in weights.items():
                if weight and d_bid in self._site_of_d_bid:
                    self._rates.steered(time_s, ingress, self._site_of_d_bid[d_bid], weight / total)


def _without_answers(plan: DyncastPlan) -> tuple[dict[str, bool], frozenset[str]]:
    """Return, by D-SID, the services whose flows do not say which instance serves them.

    First those that D-Routers decide on, flow by flow (and whether that is about sites); then those that switches bind.
    """
    by_decisions: dict[str, bool] = {}
    by_weights = set()
    for name, service in plan.scenario.services.items():
        if service.kind == "http" or plan.scenario.policy_of(name) == DNS_TTL:
            continue
        if service.affinity.mode == "datapath":
            by_weights.add(str(service.d_sid))
        else:
            by_decisions[str(service.d_sid)] = service.choice == "site"
    return by_decisions, frozenset(by_weights)
