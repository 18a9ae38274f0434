"""Steering by name, the state of the art that Dyncast is held against: the policy `dns_ttl`.

Pure. A name server answers each client with the D-BID of an instance, chosen when it is asked by what the reports of
the D-MAs report then; the client keeps the answer for `ttl_s`, whatever happens meanwhile. No D-Router decides.
Owns the choice and what it rests on; knows nothing of DNS messages. The CATS use cases compare with it, in a CDN whose
clients ask every 600 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from testbed.dyncast.events import Decided, MetricsReceived
from testbed.dyncast.messages.admission import Admission
from testbed.dyncast.messages.authentication import Authenticator, Refused
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.policies import ORACLE, POLICIES
from testbed.dyncast.selection.configured_policies import ConfiguredPolicies
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.session_model import SessionModel
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import FlowKey
from testbed.net.token_bucket import Rate
from testbed.parameters import create_with

DNS_TTL = "dns_ttl"
_LONGEST_TTL_S = 604_800


@dataclass(frozen=True)
class DnsTtl:
    """The parameters of `dns_ttl`. `answers`: the policy by which the name server chooses for each question."""

    ttl_s: float = 30
    """How long clients keep an answer: whole seconds."""
    answers: str = "least_loaded"
    """The policy by which the name server chooses for each question."""

    def __post_init__(self) -> None:
        if self.ttl_s != int(self.ttl_s) or not 0 <= self.ttl_s <= _LONGEST_TTL_S:
            raise ValueError(f"ttl_s must be whole seconds up to a week, not {self.ttl_s!r}")
        known = sorted({*POLICIES} - {ORACLE})
        if self.answers not in known:
            raise ValueError(f"answers must be one of {', '.join(known)}, not {self.answers!r}")


def parameters(**values: float | str) -> DnsTtl:
    """Return the parameters that a scenario sets. Raises ValueError naming the bad one."""
    return create_with(DNS_TTL, DnsTtl, values)


@dataclass(frozen=True)
class ClientSite:
    """Where clients may be: their addresses, and the routing's round-trip cost from there to each other site."""

    site: str
    """The site."""
    prefixes: tuple[Network, ...]
    """Its addresses."""
    path_costs_ms: Mapping[str, float]
    """The routing's round-trip cost from there to each other site."""


class NameSteering:
    """Receives reports and chooses instances. `services` has those to choose for, by D-SID.

    A client's address says its site. To one of no site all sites are equally far.
    """

    def __init__(
        self,
        services: Mapping[Address, str],
        chosen_by: DnsTtl,
        sites: Sequence[ClientSite],
        *,
        lifetime_s: float,
        report_rate: Rate,
        rng: Random,
        authenticator: Authenticator | None = None,
    ) -> None:
        self.bindings = BindingTable(lifetime_s)
        self.counters: Counter[str] = Counter()
        self._services = dict(services)
        self._sites = tuple(sites)
        prefixes = {of_site.site: of_site.prefixes for of_site in sites}
        self._admission = Admission(prefixes, report_rate, lifetime_s, authenticator, self.counters)
        policies = ConfiguredPolicies({}, rng)
        self._sessions = SessionModel()
        nowhere = ClientSite("", (), dict.fromkeys(prefixes, 0.0))
        self._selections = {
            (seen_from.site, d_sid): policies.selection(
                self._view(seen_from, service, d_sid), policies.create(chosen_by.answers)
            )
            for seen_from in (*sites, nowhere)
            for d_sid, service in services.items()
        }

    def _view(self, seen_from: ClientSite, service: str, d_sid: Address) -> InstanceView:
        paths = {site: PathState(site, cost_ms) for site, cost_ms in seen_from.path_costs_ms.items()}
        return InstanceView(
            NodeState(seen_from.site, self.bindings, paths, self._sessions, self.counters), service, d_sid
        )

    def on_message(self, data: bytes, source: Address, now_s: float) -> list[MetricsReceived]:
        """Take in a report; what is not to be believed is counted and dropped, as by a D-Router."""
        try:
            message, epoch = self._admission.admit(data, now_s)
            if not isinstance(message, Report):
                self.counters["probes_unexpected"] += 1
                return []
            message = self.bindings.kept_of(message, self._services.__contains__, self.counters)
            if not self.bindings.apply(message, now_s, epoch):
                raise Refused("reports_overtaken", "replayed or overtaken", message)
        except Refused as refused:
            return self._admission.refuse(refused, source, now_s)
        for binding in message.bindings:
            service = self._services[binding.d_sid]
            if binding.raw is not None:
                self._sessions.on_report(service, binding.d_bid, binding.raw, message.sent_s, 0.0)
            for (_, d_sid), selection in self._selections.items():
                if d_sid == binding.d_sid:
                    selection.on_reported(binding.d_bid)
        return [
            MetricsReceived(now_s, message.site, message.sequence, "received", "", binding.d_sid, binding.d_bid)
            for binding in message.bindings
        ]

    def choose(self, client: Address, d_sid: Address, now_s: float) -> Decided | None:
        """Choose the instance that a client shall go to until its answer expires; None if none takes flows."""
        site = next((of.site for of in self._sites if any(client in prefix for prefix in of.prefixes)), "")
        choice = self._selections[site, d_sid].choose(now_s, lambda _: False)
        if choice is None:
            self.counters["refused_no_instance"] += 1
            return None
        self.counters["decisions"] += 1
        return choice.decision(now_s, self._services[d_sid], DNS_TTL, FlowKey(client, d_sid, None, None, None))
