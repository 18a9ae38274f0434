"""What an ALTO server knows by reports: datagrams and time in, what is known out. The door of this room. Pure.

Costs along the paths (`routingcost`, `hopcount`) are those of the network as it is configured; all others are measured.
A report changes the entries that it is about, and no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from testbed.alto.costs.cost_type import CostMode
from testbed.alto.directory.directory import Directory
from testbed.alto.network import directories
from testbed.alto.network.facts import NetworkFacts
from testbed.alto.network.static_knowledge import HOPS, NETWORK_MAP, ROUTING, knowledge_of
from testbed.alto.reports import measured_clusters, measured_costs
from testbed.alto.reports.admission import Admission, Reporter
from testbed.alto.reports.measured_clusters import MeasuredClusters
from testbed.alto.reports.measured_costs import Changes, MeasuredCosts
from testbed.alto.reports.messages import NetworkReport, Report
from testbed.alto.service.knowledge import Knowledge
from testbed.net.addresses import Address, Network

CLUSTERS = "clusters"  # the property map of them
LIFETIME_S = 5.0
LEAST_CHANGE = 0.02
_ALONG_PATHS = (ROUTING, HOPS)


@dataclass(frozen=True)
class Taken:
    """A report that was believed, and whether something is another thing now."""

    report: Report
    changed: bool


class ReportedKnowledge:
    """`knowledge` is what is known by now; `counters`, what was refused or is about nothing that is known."""

    def __init__(
        self,
        network: NetworkFacts,
        reporters: Mapping[str, Reporter],
        lifetime_s: float = LIFETIME_S,
        least_change: float = LEAST_CHANGE,
    ) -> None:
        """Know a network as it is configured, and nothing measured. Raises AltoDataError."""
        self.counters: Counter[str] = Counter()
        self._admission = Admission(reporters, lifetime_s, self.counters)
        self._types = {metric: measured_costs.cost_type(metric, lifetime_s) for metric in measured_costs.METRICS}
        self._costs = MeasuredCosts(network, lifetime_s, least_change, self.counters)
        clusters = {
            name: tuple(_addresses(reporter.prefixes))
            for name, reporter in reporters.items()
            if reporter.kind == "cluster"
        }
        self._clusters = MeasuredClusters(clusters, lifetime_s, least_change)
        self.knowledge = knowledge_of(network, _ALONG_PATHS)
        self._learn_costs(self._costs.begin())
        self._learn_clusters()

    @property
    def directory(self) -> Directory:
        """The directory of a server that knows this."""
        ranked = (cost_type.in_mode(mode) for cost_type in _ALONG_PATHS for mode in CostMode)
        mappings = {measured_clusters.DOMAIN: measured_clusters.ENTITY_PROPERTIES}
        endpoints = measured_clusters.ENDPOINT_PROPERTIES
        return directories.directory((*ranked, *self._types.values()), {CLUSTERS: mappings}, endpoints)

    def on_datagram(self, data: bytes, source: Address, now_s: float) -> Taken:
        """Take in a report. Raises Refused, which is counted; it changes nothing."""
        report = self._admission.admit(data, source, now_s)
        if isinstance(report, NetworkReport):
            return Taken(report, self._learn_costs(self._costs.take(report, now_s)))
        changed = self._clusters.take(report, now_s)
        if changed:
            self._learn_clusters()
        return Taken(report, changed)

    def on_timer(self, now_s: float) -> bool:
        """Leave out what was not reported for too long; return whether something is another thing now."""
        changed = self._learn_costs(self._costs.forget(now_s))
        if self._clusters.forget(now_s):
            self._learn_clusters()
            changed = True
        return changed

    def next_timer_s(self) -> float | None:
        """Return when `on_timer` must be called next; None: not until a report comes."""
        due_s = (self._costs.next_timer_s(), self._clusters.next_timer_s())
        return min((time_s for time_s in due_s if time_s is not None), default=None)

    def _learn_costs(self, changes: Changes) -> bool:
        for metric, of_metric in changes.items():
            self.knowledge = self.knowledge.with_costs(NETWORK_MAP, self._types[metric], of_metric)
        return bool(changes)

    def _learn_clusters(self) -> None:
        values = self._clusters.entities()
        known: Knowledge = self.knowledge
        for resource_id in (CLUSTERS, f"{CLUSTERS}-filtered"):
            known = known.with_property_map(resource_id, values)
        for name, of_endpoints in self._clusters.endpoints().items():
            known = known.with_endpoint_property(name, of_endpoints)
        self.knowledge = known


def _addresses(prefixes: tuple[Network, ...]) -> list[Address]:
    """Return those of prefixes that are of one address."""
    return [prefix.network_address for prefix in prefixes if prefix.num_addresses == 1]
