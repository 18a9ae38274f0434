"""The choice in two steps: the ingress picks a site, the egress there picks one of its instances.

Pure. Owns what a site is worth (the instances there taken together; each ingress sums them up from the reports) and who
decides what; what becomes of a binding, and how packets get to the egress, is not known here. At the ingress the
address of a D-Router stands for its site, as a D-BID does for an instance. Sections 3 and 4.4 of the CFN-Dyncast
architecture.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from testbed.dyncast.affinity.service import Service
from testbed.dyncast.events import Decided
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics.levels import RawMetrics, Scores, State
from testbed.dyncast.monitoring.binding_table import Binding
from testbed.dyncast.selection.configured_policies import ConfiguredPolicies
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.session_model import SessionModel
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey


class SiteView(InstanceView):
    """The sites that offer a D-SID, as one of them sees all; `addresses` are those of their D-Routers.

    A site is summed up when all are looked at, and when it was reported: a flow that is assigned to it needs no look at
    instances.
    """

    def __init__(self, state: NodeState, service: str, d_sid: Address, addresses: Mapping[str, Address]) -> None:
        super().__init__(state, service, d_sid)
        self._addresses = addresses
        self._summed: dict[Address, Binding] = {}

    def usable(self, now_s: float) -> list[Binding]:
        """Return the sites that have an instance which may take a flow now."""
        by_site: defaultdict[str, list[Binding]] = defaultdict(list)
        for binding in super().usable(now_s):
            by_site[binding.site].append(binding)
        self._summed = {self._addresses[site]: self._together(site, of_site) for site, of_site in by_site.items()}
        return [*self._summed.values()]

    def usable_one(self, d_bid: Address, now_s: float) -> Binding | None:
        """Return one site, by the address of its D-Router, if an instance there may take a flow now."""
        site = self._summed.get(d_bid)
        if site is None or not self.state.bindings.is_usable(site, now_s) or not self._is_reachable(site):
            return None
        return site

    def on_reported(self, site: str, now_s: float) -> Address:
        """Sum a site up again; return the address that stands for it."""
        address = self._addresses[site]
        usable = self.state.bindings.usable(self.d_sid, now_s)
        of_site = [binding for binding in usable if binding.site == site]
        self._summed.pop(address, None)
        if of_site:
            self._summed[address] = self._together(site, of_site)
        return address

    def _together(self, site: str, of_site: Sequence[Binding]) -> Binding:
        raws = [binding.raw for binding in of_site if binding.raw is not None]
        return replace(
            of_site[0],
            d_bid=self._addresses[site],
            raw=summed(raws) if raws else None,
            scores=_mean_scores([binding.scores for binding in of_site]),
            measured_s=min(binding.measured_s for binding in of_site),
            received_s=min(binding.received_s for binding in of_site),
        )


class LocalView(InstanceView):
    """The instances of a D-SID at the D-Router's own site."""

    def usable(self, now_s: float) -> list[Binding]:
        """Return the instances here that may take a flow now."""
        return [binding for binding in super().usable(now_s) if binding.site == self.state.site]

    def usable_one(self, d_bid: Address, now_s: float) -> Binding | None:
        """Return one instance, if it is here and may take a flow now."""
        binding = super().usable_one(d_bid, now_s)
        return binding if binding is not None and binding.site == self.state.site else None


class SiteChoice:
    """Both steps for one D-SID at one D-Router, which may be ingress of some flows and egress of others."""

    def __init__(
        self,
        state: NodeState,
        addresses: Mapping[str, Address],
        service: Service,
        d_sid: Address,
        policies: ConfiguredPolicies,
    ) -> None:
        self._state, self._addresses = state, addresses
        self._service, self._d_sid = service, d_sid
        self._started: Counter[str] = Counter()  # sessions, by site; instances that come and go make it no leap
        self._last_started: dict[Address, int] = {}
        # Sessions apart: what a site has is no session more or less of an instance.
        self._view = SiteView(replace(state, sessions=SessionModel()), service.name, d_sid, addresses)
        self.sites = policies.selection(self._view, policies.create(service.policy))
        local = LocalView(state, service.name, d_sid)
        self.instances = policies.selection(local, policies.create(service.policy_at_egress))

    def on_report(self, report: Report, now_s: float) -> None:
        """Take in a report that the bindings have taken in."""
        bindings = [item for item in report.bindings if item.d_sid == self._d_sid]
        if not bindings:
            return
        for item in bindings:
            self.instances.on_reported(item.d_bid)
            if item.raw is not None:
                started = item.raw.sessions_started
                self._started[report.site] += max(0, started - self._last_started.get(item.d_bid, started))
                self._last_started[item.d_bid] = started
        address = self._view.on_reported(report.site, now_s)
        site = self._view.usable_one(address, now_s)
        if site is not None and site.raw is not None:
            together = replace(site.raw, sessions_started=self._started[report.site])
            of_sites, name = self._view.state, self._service.name
            travel_s = of_sites.travel_s(name, report.site)
            of_sites.sessions.on_report(name, address, together, report.sent_s, travel_s)
        self.sites.on_reported(address)

    def decide(self, flow: FlowKey, now_s: float, *, tunnelled: bool) -> tuple[Address, list[Decided]] | None:
        """Assign a flow to a site, or, if that is this one or the flow came through a tunnel, to an instance here.

        Returns what the flow is bound to here, and the decisions taken; None if nobody takes it.
        """
        decisions: list[Decided] = []
        if not tunnelled:
            choice = self.sites.choose(now_s, _nobody_is_barred)
            if choice is None:
                return None
            decisions.append(choice.decision(now_s, self._service.name, self._service.policy, flow, of_site=True))
            if choice.site != self._state.site:
                return choice.d_bid, decisions
        choice = self.instances.choose(now_s, _nobody_is_barred)
        if choice is None:
            return None
        decisions.append(choice.decision(now_s, self._service.name, self._service.policy_at_egress, flow))
        return choice.d_bid, decisions

    def emptied_by(self, d_bid: Address) -> Address | None:
        """Return what stands for the site of an instance, if none of the instances there is alive; None if one is."""
        binding = self._state.bindings.get(self._d_sid, d_bid)
        if binding is None:
            return None
        of_site = [item for item in self._state.bindings.of(self._d_sid) if item.site == binding.site]
        is_empty = all(item.state is State.DOWN for item in of_site)
        return self._addresses.get(binding.site) if is_empty else None


def _nobody_is_barred(_: Address) -> bool:
    return False  # the D-SID stays in the packet, so their answers differ on any reverse path


def summed(raws: Sequence[RawMetrics]) -> RawMetrics:
    """Return the figures of several instances as those of one: sums, and means by worker where a sum means nothing."""
    workers = sum(raw.workers for raw in raws)
    timed = [raw for raw in raws if raw.service_time_s > 0]  # the others have not served yet

    def total(name: str) -> int:
        return sum(getattr(raw, name) for raw in raws)

    def mean(name: str, of: Sequence[RawMetrics]) -> float:
        return float(sum(getattr(raw, name) * raw.workers for raw in of) / max(1, sum(raw.workers for raw in of)))

    return RawMetrics(
        workers=workers,
        busy_workers=total("busy_workers"),
        queue_length=total("queue_length"),
        queue_limit=total("queue_limit"),
        sessions=total("sessions"),
        sessions_started=total("sessions_started"),
        utilisation=min(1.0, mean("utilisation", raws)),
        service_time_s=mean("service_time_s", timed),
        cpu_utilisation=min(1.0, mean("cpu_utilisation", raws)),
        memory_bytes=total("memory_bytes"),
        memory_limit_bytes=total("memory_limit_bytes"),
        capacity_per_s=total("capacity_per_s"),
        throughput_bps=total("throughput_bps"),
    )


def _mean_scores(scores: Sequence[Scores]) -> Scores:
    def mean(values: Sequence[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return round(sum(known) / len(known)) if known else None

    computing, communication, service = (mean([item[index] for item in scores]) for index in range(3))
    return Scores(computing, communication, service, mean([item.overall for item in scores]) or 0)
