"""The D-Router: what arrives (packets, messages, switch events, time) goes in, actions come out.

Pure: no clock, no socket, no OpenFlow. It owns the roles of sections 3 and 4 of the Dyncast
architecture: ingress (choose an instance, keep affinity), member of the control plane (pass on its
site's metrics, receive those of others) and measurer of paths.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random

from testbed.dyncast.actions import (
    Action,
    DropPacket,
    ForwardPacket,
    InstallAffinity,
    InterceptRange,
    InterceptService,
    Output,
    RefusePacket,
    ReleaseService,
    ResetFlows,
    SendMessage,
    TerminateFlows,
    TrackReverseFlows,
)
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityTable, HeldFlow
from testbed.dyncast.control import role_factory
from testbed.dyncast.control.role import InstanceChange, RoleContext
from testbed.dyncast.events import Decided, MetricsReceived, Noticed
from testbed.dyncast.messages.admission import Admission
from testbed.dyncast.messages.authentication import Authenticator, Refused
from testbed.dyncast.messages.outgoing import Outgoing
from testbed.dyncast.messages.reports import BindingReport, Probe, Report
from testbed.dyncast.metrics.levels import State
from testbed.dyncast.monitoring import failure_detector
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.monitoring.failure_detector import FailureDetector
from testbed.dyncast.monitoring.liveness import Liveness
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.monitoring.port_state import PortState
from testbed.dyncast.monitoring.probing import Prober
from testbed.dyncast.nodes.affinity_keeper import BindingKeeper
from testbed.dyncast.nodes.d_router_config import DRouterConfig
from testbed.dyncast.nodes.dispatcher_service import Dispatching
from testbed.dyncast.nodes.service_discovery import ServiceLearning
from testbed.dyncast.nodes.weighted_group import SHARES, WeightedGroup
from testbed.dyncast.nodes.weighted_groups import WeightedGroups
from testbed.dyncast.policies import ORACLE
from testbed.dyncast.policies.candidate import Weighed
from testbed.dyncast.selection.configured_policies import ConfiguredPolicies
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.oracle_view import OracleView, TrueStates
from testbed.dyncast.selection.session_model import SessionModel
from testbed.dyncast.selection.site_selection import SiteChoice
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey
from testbed.net.port_counters import Reading


class DRouter:
    """One D-Router. `rng` draws among the weights of a policy; without `authenticator` it believes every message.

    `true_states` are for services under the policy `oracle` alone.
    """

    def __init__(
        self,
        config: DRouterConfig,
        rng: Random,
        authenticator: Authenticator | None = None,
        true_states: TrueStates | None = None,
    ) -> None:
        self.config = config
        self.counters: Counter[str] = Counter()
        self.affinity = AffinityTable()
        self.keeper = BindingKeeper(self.affinity, self.counters, self._service_bound_here)
        self._services = {d_sid: service for service in config.services for d_sid in service.d_sids}
        self._true_states = true_states
        # What it knows, and by which messages.
        is_follower = role_factory.is_follower(config.site, config.control)
        self.bindings = BindingTable(config.control.lifetime_s if is_follower else config.metric_lifetime_s)
        self.ports = {port.name: PortState(port) for port in config.ports}
        self.paths = {
            peer.site: PathState(peer.site, peer.path_cost_ms, port=self.ports.get(peer.port)) for peer in config.peers
        }
        self._state = NodeState(config.site, self.bindings, self.paths, SessionModel(), self.counters)
        self._admission = Admission(
            config.prefixes_by_site, config.report_rate, config.metric_lifetime_s, authenticator, self.counters
        )
        outgoing = Outgoing({peer.site: peer.address for peer in config.peers}, authenticator)
        self._prober = Prober(config.site, self.paths, config.probe_interval_s, outgoing, self.counters)
        self._liveness = Liveness(self.bindings, self.paths)
        self._failures = FailureDetector(
            failure_detector.DOWN_DECISIONS if is_follower else failure_detector.DOWN_REPORTS
        )
        # How it decides, and for which D-SIDs.
        self._policies = ConfiguredPolicies(config.policy_parameters, rng)
        self._role = role_factory.create(
            RoleContext(config.control, self._state, self._services, self._policies, outgoing, self._failures)
        )
        self._site_choices = {
            d_sid: SiteChoice(self._state, config.addresses_by_site, service, d_sid, self._policies)
            for d_sid, service in self._services.items()
            if service.choice == "site"
        }
        self._selections = {d_sid: choice.sites for d_sid, choice in self._site_choices.items()}
        for service in config.services:
            if service.choice != "site":
                self._select_for(service)
        bound_by_switch = [d_sid for d_sid, service in self._services.items() if service.affinity_mode == "datapath"]
        self._groups = WeightedGroups(bound_by_switch, self._selections)
        self._dispatching = Dispatching(self._state, config.dispatchers, authenticator)
        self._learning = ServiceLearning(config.d_sid_ranges, config.learnt_policy, self.counters)
        self._tracked = set(config.d_bids)
        self._has_news = False  # of an instance that is not up

    @property
    def services(self) -> Mapping[Address, Service]:
        """The services that are steered here now, by D-SID."""
        return self._services

    # -- the switch ------------------------------------------------------------------------------

    def on_switch_connected(self, now_s: float, held: Collection[HeldFlow] = ()) -> list[Action]:
        """Put everything this D-Router knows into a switch that may know nothing.

        `held`: what the switch still has from a former process of this D-Router, which ended without taking it away.
        """
        self.counters["switch_connected"] += 1
        actions = self.keeper.on_switch_connected(held, now_s)
        actions += [InterceptRange(network) for network in self.config.d_sid_ranges]
        actions += [InterceptService(d_sid) for d_sid in self._services if d_sid not in self._groups]
        actions += [TrackReverseFlows(d_bid) for d_bid in self._tracked]
        return [*actions, *self._groups.resend()]

    def on_packet(
        self, packet: FlowKey, now_s: float, in_port: int = 0, *, tunnelled: bool = False
    ) -> Sequence[Output]:
        """Steer a packet to a D-SID that the switch had no entry for; `tunnelled`: an ingress sent it here."""
        service = self._services.get(packet.dst)
        if service is None:
            return self._learning.on_unknown(packet.dst) or self._drop("unknown_d_sid")
        if service.identifies_by_ports and packet.lacks_ports:
            return self._drop("no_ports")
        flow = service.identifier(packet)
        dispatcher = self._dispatching.at(in_port)
        if dispatcher is not None:
            is_served = self._selections[flow.dst].available(now_s)
            decided = self._decide(service, flow, packet.src, now_s) if is_served else None
            return self._dispatching.assign(dispatcher, flow, service.affinity_timeout_s, decided, now_s)
        entry = self.affinity.find(flow)
        if entry is not None:
            return self._refuse("hairpin") if entry.d_bid == packet.src else self.keeper.follow(entry, now_s)
        if packet.dst in self._site_choices:
            return self._bind_in_two_steps(service, flow, now_s, tunnelled=tunnelled)
        if tunnelled:
            return self._drop("tunnelled_astray")
        if not self._selections[packet.dst].available(now_s):
            return self._refuse("no_instance")
        decided = self._decide(service, flow, packet.src, now_s)
        if decided is None:
            return self._refuse("hairpin") if packet.src in self._tracked else self._drop("way_home_taken")
        assert decided.d_bid is not None
        entry = self.affinity.bind(flow, decided.d_bid, decided.egress, service.affinity_timeout_s, now_s)
        return [InstallAffinity(entry), ForwardPacket(entry), decided]

    def _bind_in_two_steps(self, service: Service, flow: FlowKey, now_s: float, *, tunnelled: bool) -> Sequence[Output]:
        found = self._site_choices[flow.dst].decide(flow, now_s, tunnelled=tunnelled)
        if found is None:
            return self._refuse("no_instance")
        target, decisions = found
        self.counters["decisions"] += len(decisions)
        entry = self.affinity.bind(flow, target, decisions[-1].egress, service.affinity_timeout_s, now_s)
        return [InstallAffinity(entry), ForwardPacket(entry), *decisions]

    def on_flows_assigned(self, d_sid: Address, d_bid: Address, total: int, now_s: float) -> None:
        """Handle the switch's cumulative count of flows assigned to an instance."""
        assigned = self._groups.newly_assigned(d_sid, d_bid, total)
        if assigned:
            self.counters["flows_given"] += assigned
            self._selections[d_sid].on_assigned(d_bid, assigned, now_s)

    def on_weights_failed(self, d_sid: Address) -> None:
        """Take note that the switch did not get the weights of a D-SID; they are set again when next computed."""
        if d_sid in self._groups:
            self._groups[d_sid].on_update_failed()

    def on_datapath_mode_refused(self, service: str) -> list[Action]:
        """Handle a switch that cannot bind the flows of a service; from now on this D-Router does."""
        d_sids = [d_sid for d_sid in self._groups if self._services[d_sid].name == service]
        return [*self._track(self._groups.remove(d_sids)), *(InterceptService(d_sid) for d_sid in d_sids)]

    def _service_bound_here(self, flow: FlowKey) -> Service | None:
        """Return the service of a flow; None also where the switch binds its flows."""
        if flow.dst in self._groups:
            return None
        return self._services.get(flow.dst) or self._learning.service_of(flow)

    def _track(self, d_bids: Iterable[Address]) -> list[Action]:
        new = dict.fromkeys(d_bid for d_bid in d_bids if d_bid not in self._tracked)
        self._tracked.update(new)
        return [TrackReverseFlows(d_bid) for d_bid in new]

    def reset_flows(self, services: Collection[Service], start: int, slots: int) -> tuple[list[Action], int | None]:
        """End the flows of services that are bound in some slots of the affinity table, and those the switch bound.

        Returns the slot to go on from, too; None: all were ended. The latter are ended with the first slots.
        """
        actions, following = self.keeper.reset(services, start, slots)
        if start == 0:
            by_switch = (tuple(filter(self._groups.__contains__, service.d_sids)) for service in services)
            actions += [ResetFlows(d_sids) for d_sids in by_switch if d_sids]
        return actions, following

    # -- deciding --------------------------------------------------------------------------------

    def _select_for(self, service: Service) -> None:
        """Have flows to the D-SIDs of a service assigned to instances; they share one policy."""
        policy = self._role.policy(service)
        for d_sid in service.d_sids:
            self._selections[d_sid] = self._policies.selection(self._view(service, d_sid), policy)

    def _view(self, service: Service, d_sid: Address) -> InstanceView:
        if service.policy == ORACLE and self._role.accepts_reports:  # otherwise the controller decides, whatever by
            return OracleView(self._state, service.name, d_sid, self._true_states)
        return self._role.view(service, d_sid)

    def _decide(self, service: Service, flow: FlowKey, src: Address | None, now_s: float) -> Decided | None:
        """Decide for a flow, whose packet is from `src`: an instance serves no call of its own."""
        choice = self._selections[flow.dst].choose(
            now_s, lambda d_bid: d_bid == src or self.affinity.reverse_key_taken(flow, d_bid)
        )
        if choice is None:
            return None
        self.counters["decisions"] += 1
        return choice.decision(now_s, service.name, service.policy, flow)

    def weighed(self, d_sid: Address, now_s: float) -> tuple[Weighed, ...]:
        """Return the instances that may take a flow to a D-SID, with their shares of the next `SHARES` flows."""
        return self._selections[d_sid].weighed(SHARES, now_s)

    def site_behind(self, target: Address) -> str | None:
        """Return the site that a flow was assigned to as such, by what it is bound to; None: that is an instance."""
        return next((site for site, address in self.config.addresses_by_site.items() if address == target), None)

    def weighted_group(self, d_sid: Address) -> WeightedGroup | None:
        """Return the weighted group of a D-SID whose flows the switch binds; None if this D-Router does."""
        return self._groups.get(d_sid)

    # -- in-band messages ------------------------------------------------------------------------

    def on_message(
        self, data: bytes, source: Address, now_s: float, arrived_s: float | None = None
    ) -> Sequence[Output]:
        """Take in a datagram from a D-MA or another D-Router; what is not to be believed is counted and dropped.

        `arrived_s`: when it came, if that is not now.
        """
        came_s = now_s if arrived_s is None else arrived_s
        try:
            message, epoch = self._admission.admit(data, came_s)
            if isinstance(message, Probe):
                return self._prober.on_probe(message, source, now_s, came_s)
            if isinstance(message, Report):
                return self._on_report(message, epoch, data, came_s)
            changes = self._role.on_message(message, epoch, now_s)
        except Refused as refused:
            return self._admission.refuse(refused, source, now_s)
        if not self._role.accepts_reports:  # the instances that a decision does not name have changed, too
            for d_sid in {change.d_sid for change in changes}:
                self._selections[d_sid].look_again()
        return self._on_instances(message.site, message.sequence, "told", changes, now_s)

    def on_returned(self, data: bytes, to: Address, now_s: float) -> None:
        """Handle the ICMP error that answers a message which began with `data`: nobody listens at that D-Router."""
        self._prober.on_returned(data, to, now_s)

    def on_port_counters(self, readings: Mapping[str, Reading]) -> None:
        """Handle the cumulative counters of this D-Router's ports: sent and dropped."""
        for name, reading in readings.items():
            self.ports[name].on_counters(*reading)

    def _on_report(self, report: Report, epoch: int, data: bytes, now_s: float) -> Sequence[Output]:
        if not self._role.accepts_reports:
            raise Refused("messages_unexpected", "it is for the controller", report)
        report = self.bindings.kept_of(report, self._is_or_may_be_service, self.counters)
        if not self.bindings.apply(report, now_s, epoch):
            raise Refused("reports_overtaken", "replayed or overtaken", report)
        learnt = self._learning.on_report(report)
        for service in learnt:
            self._services.update(dict.fromkeys(service.d_sids, service))
            self._select_for(service)
        self._role.on_report(report, now_s)
        for choice in self._site_choices.values():
            choice.on_report(report, now_s)
        outputs: list[Output] = [InterceptService(d_sid) for service in learnt for d_sid in service.d_sids]
        outputs += self._on_instances(report.site, report.sequence, "received", report.bindings, now_s)
        if report.site == self.config.site:
            outputs += self._pass_on(report, data)
        return outputs

    def _pass_on(self, report: Report, data: bytes) -> list[Action]:
        """Send a report of this site's agent as it came: the agent's own tag convinces the others."""
        audience = self._role.audience()
        peers = [peer.address for peer in self.config.peers if peer.site in audience]
        is_deferrable = all(item.state is State.UP and item.d_sid not in self._groups for item in report.bindings)
        return [
            *(SendMessage(address, data, "report", is_deferrable) for address in peers),
            *(SendMessage(address, data, "report") for address in self.config.listeners),
        ]

    def _is_or_may_be_service(self, d_sid: Address) -> bool:
        return d_sid in self._services or self._learning.may_learn(d_sid)

    def _on_instances(
        self, site: str, sequence: int, event: str, changes: Sequence[BindingReport | InstanceChange], now_s: float
    ) -> list[Output]:
        """Act on reports or changes of instances: record them, track and terminate flows, set weights."""
        outputs: list[Output] = [
            MetricsReceived(now_s, site, sequence, event, "", item.d_sid, item.d_bid) for item in changes
        ]
        offered = [item for item in changes if item.d_sid in self._services]
        for item in offered:
            self._selections[item.d_sid].on_reported(item.d_bid)
        outputs += self._track(item.d_bid for item in offered if item.d_sid not in self._groups)
        outputs += self._on_states(changes)
        for d_sid in dict.fromkeys(item.d_sid for item in changes):
            outputs += self._groups.set_weights(d_sid, now_s)
        return outputs

    def _on_states(self, changes: Iterable[BindingReport | InstanceChange]) -> list[Action]:
        """Terminate the flows of instances that turn out to have failed."""
        actions: list[Action] = []
        for change in changes:
            self._has_news |= change.state is not State.UP
            if self._failures.on_state(change.d_sid, change.d_bid, change.state):
                actions += self._terminate(change.d_sid, change.d_bid)
            elif change.d_sid in self._groups and not self._failures.has_failed(change.d_sid, change.d_bid):
                self._groups[change.d_sid].add(change.d_bid)
        return actions

    def _terminate(self, d_sid: Address, d_bid: Address) -> list[Action]:
        group = self._groups.get(d_sid)
        if group is not None:
            return [TerminateFlows(d_sid, d_bid)] if group.remove(d_bid) else []
        choice = self._site_choices.get(d_sid)
        gone = {d_bid, choice.emptied_by(d_bid) if choice else None}
        return self.keeper.break_flows(d_sid, gone)

    # -- time ------------------------------------------------------------------------------------

    def next_timer_s(self) -> float:
        """Return when `on_timer` has something to do (-inf: at once); to be asked again after each input."""
        if self._has_news or self._prober.paths_changed:
            return -math.inf
        parts = (self._groups, self._prober, self._liveness, self._role, self._dispatching)
        return min(part.next_timer_s() for part in parts)

    def on_timer(self, now_s: float) -> Sequence[Output]:
        """Do what is due: probe paths, notice what has gone, compute weights again."""
        probes = self._prober.on_timer(now_s)
        self._has_news = self._prober.paths_changed = False
        return [
            *probes,
            *self._notice(now_s),
            *self._dispatching.withdraw(self._failures.has_failed, now_s),
            *self._forget_services(now_s),
            *self._groups.on_timer(now_s),
            *self._role.on_timer(now_s),
        ]

    def _forget_services(self, now_s: float) -> list[Action]:
        forgotten = self._learning.forgotten(self.bindings, now_s)
        for d_sid in forgotten:
            del self._services[d_sid], self._selections[d_sid]
        return [ReleaseService(d_sid) for d_sid in forgotten]

    def _notice(self, now_s: float) -> list[Noticed]:
        changes = self._liveness.changes(now_s)
        for change in changes:
            self.counters[change.event] += 1
            if change.event == "path_lost":  # bound flows stay, for the site may come back; these wait for it
                cut_off = sum(entry.egress == change.site for entry in self.affinity)
                self.counters["flows_cut_off"] += cut_off
        return changes

    def _refuse(self, reason: str) -> list[Action]:
        self.counters[f"refused_{reason}"] += 1
        return [RefusePacket(reason)]

    def _drop(self, reason: str) -> list[Action]:
        self.counters[f"dropped_{reason}"] += 1
        return [DropPacket(reason)]
