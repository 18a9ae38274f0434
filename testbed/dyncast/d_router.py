"""The D-Router: what arrives (packets, messages, switch events, time) goes in, actions come out.

Pure: no clock, no socket, no OpenFlow. It owns the roles of sections 3 and 4 of the Dyncast
architecture: ingress (choose an instance, keep affinity), member of the control plane (pass on its
site's metrics, hear those of others) and measurer of paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from testbed.dyncast import codec, policies
from testbed.dyncast.actions import (
    Action,
    BreakFlows,
    Decided,
    DropPacket,
    ForwardPacket,
    InstallAffinity,
    InterceptService,
    MetricsReceived,
    ReadReturnPackets,
    RefusePacket,
    RemoveAffinity,
    ResetFlows,
    SendMessage,
    WatchAnswers,
)
from testbed.dyncast.admission import Admission, Network
from testbed.dyncast.affinity import AffinityEntry, AffinityTable, HeldFlow
from testbed.dyncast.authentication import Authenticator, Refused
from testbed.dyncast.bindings import BindingTable
from testbed.dyncast.codec import Address, Probe, Report
from testbed.dyncast.flows import FlowKey, Service
from testbed.dyncast.liveness import Liveness
from testbed.dyncast.metrics import State
from testbed.dyncast.network_state import PathState
from testbed.dyncast.outlook import Outlook
from testbed.dyncast.policies import Policy
from testbed.dyncast.pool import SHARES, Pool
from testbed.dyncast.selection import Selection, Weighed
from testbed.dyncast.session_model import SessionModel
from testbed.dyncast.token_bucket import Rate

REPORT_RATE = Rate(per_s=1000, burst=1000)  # no agent that is well needs it
_SPREAD_INTERVAL_S = 0.25  # how often weights are reckoned anew without a report
_REPORTS_OF_DEATH = 2  # one may be a poll that timed out on a busy machine: new flows go elsewhere, bound ones stay
_REINSTALL_AFTER_S = 0.5  # a packet of a bound flow that still comes up this late: the switch lost the entry


@dataclass(frozen=True)
class Peer:
    """Another D-Router: where its messages go, the routing's round-trip cost to it, and its site's addresses."""

    site: str
    address: Address
    path_cost_ms: float
    prefixes: tuple[Network, ...] = ()


@dataclass(frozen=True)
class DRouterConfig:
    """What a D-Router is told at its start."""

    site: str
    services: tuple[Service, ...]
    peers: tuple[Peer, ...] = ()
    metric_lifetime_s: float = 10.0
    probe_interval_s: float = 1.0
    prefixes: tuple[Network, ...] = ()  # of its own site; reports must be of instances in them, if there are any
    report_rate: Rate = REPORT_RATE  # of each site's agent; what exceeds it is refused
    policy_parameters: dict[str, dict[str, float | str]] = field(default_factory=dict)


class DRouter:
    """One D-Router. `rng` draws among the weights of a policy; without `authenticator` it believes every message."""

    def __init__(self, config: DRouterConfig, rng: Random, authenticator: Authenticator | None = None) -> None:
        self.config = config
        prefixes = {config.site: config.prefixes, **{peer.site: peer.prefixes for peer in config.peers}}
        self._admission = Admission(prefixes, config.report_rate, config.metric_lifetime_s, authenticator)
        self._authenticator = authenticator
        self.bindings = BindingTable(config.metric_lifetime_s)
        self.affinity = AffinityTable()
        self.counters: Counter[str] = Counter()
        self.paths = {peer.site: PathState(peer.site, peer.path_cost_ms) for peer in config.peers}
        self._liveness = Liveness(self.bindings, self.paths)
        self._services = {d_sid: service for service in config.services for d_sid in service.d_sids}
        self._sessions = SessionModel()
        self._selections = {
            d_sid: Selection(self._outlook(service, d_sid), policy, rng)
            for service, policy in _policies(config)
            for d_sid in service.d_sids
        }
        self._pools = {
            d_sid: Pool(d_sid)
            for service in config.services
            if service.affinity_mode == "datapath"
            for d_sid in service.d_sids
        }
        self._watched: set[Address] = set()
        self._down_reports: Counter[tuple[Address, Address]] = Counter()
        self._probe_sequence = 0
        self._next_probe_s: float | None = None
        self._next_spread_s: float | None = None

    # -- the switch ------------------------------------------------------------------------------

    def on_switch_connected(self, now_s: float, held: Collection[HeldFlow] = ()) -> list[Action]:
        """Put everything this D-Router knows into a switch that may know nothing.

        `held`: what the switch still has from a former process of this D-Router, which ended without taking it away.
        """
        self.counters["switch_connected"] += 1
        actions = self._recover(held, now_s)
        actions += [InterceptService(d_sid) for d_sid in self._services if d_sid not in self._pools]
        actions += [WatchAnswers(d_bid) for d_bid in self._watched]
        actions += [spread for pool in self._pools.values() if (spread := pool.again())]
        if not held:
            actions += [InstallAffinity(self.affinity.renew(entry, now_s)) for entry in self.affinity]
        return actions

    def _recover(self, held: Collection[HeldFlow], now_s: float) -> list[Action]:
        actions: list[Action] = []
        known: list[AffinityEntry] = []
        for item in held:
            service = self._services.get(item.flow.dst)
            timeout_s = service.affinity_timeout_s if service else 0
            # Which site the instance is of will be known when it is next reported.
            entry = AffinityEntry(item.number, item.flow, item.d_bid, "", timeout_s, now_s - item.age_s, now_s)
            is_reactive = service is not None and item.flow.dst not in self._pools
            if not (item.has_homeward and is_reactive and service and service.is_identified_by(item.flow)):
                self.counters["bindings_not_recovered"] += 1
                actions.append(RemoveAffinity(entry))
                continue
            self.counters["bindings_recovered"] += 1
            known.append(entry)
            if not item.has_forward:  # it idled out, and nobody heard; the way home may be in use
                actions.append(InstallAffinity(entry))
        self.affinity.restore(known)
        return actions

    def on_packet(self, packet: FlowKey, now_s: float) -> list[Action]:
        """Steer a packet to a D-SID that the switch had no entry for."""
        service = self._services.get(packet.dst)
        if service is None:
            return self._drop("unknown_d_sid")
        if service.identifies_by_ports and packet.lacks_ports:
            return self._drop("no_ports")
        flow = service.identifier(packet)
        entry = self.affinity.find(flow)
        if entry is not None:
            self.counters["packets_before_entry"] += 1
            if now_s - entry.installed_s < _REINSTALL_AFTER_S:
                return [ForwardPacket(entry)]
            entry = self.affinity.renew(entry, now_s)
            return [InstallAffinity(entry), ForwardPacket(entry)]
        if not self._selections[packet.dst].available(now_s):
            self.counters["refused_no_instance"] += 1
            return [RefusePacket("no_instance")]
        decided = self._decide(service, flow, now_s)
        if decided is None:
            return self._drop("way_home_taken")
        entry = self.affinity.bind(flow, decided.d_bid, decided.egress, service.affinity_timeout_s, now_s)
        return [InstallAffinity(entry), ForwardPacket(entry), decided]

    def on_forward_entry_removed(self, number: int, idle: bool) -> list[Action]:
        """Hear that a flow's D-SID → D-BID entry left the switch; idle flows may live on homewards."""
        entry = self.affinity.numbered(number)
        if entry is None:
            return []
        if idle:
            return [ReadReturnPackets(entry)]
        return self._end(entry)

    def on_return_packets(self, number: int, packets: int, now_s: float) -> list[Action]:
        """Hear how many packets came home on a flow whose forward entry idled out; keep or end it."""
        entry = self.affinity.numbered(number)
        if entry is None:
            return []
        if packets != entry.return_packets:  # re-installing may have reset the count
            return [InstallAffinity(self.affinity.renew(entry, now_s, packets))]
        return self._end(entry)

    def on_flows_given(self, d_sid: Address, d_bid: Address, total: int, now_s: float) -> None:
        """Hear how many new flows the switch has given to an instance so far."""
        pool = self._pools.get(d_sid)
        if pool is None or d_bid not in pool.members:
            return
        given = pool.newly_given(d_bid, total)
        if given:
            self.counters["flows_given"] += given
            self._selections[d_sid].gave(d_bid, given, now_s)

    def on_spread_lost(self, d_sid: Address) -> None:
        """Hear that the switch did not get the weights of a D-SID; it is told again when weights are next reckoned."""
        if d_sid in self._pools:
            self._pools[d_sid].lose()

    def on_datapath_mode_refused(self, service: str) -> list[Action]:
        """Hear that the switch cannot bind the flows of a service; from now on this D-Router does."""
        d_sids = [d_sid for d_sid in self._pools if self._services[d_sid].name == service]
        members = [d_bid for d_sid in d_sids for d_bid in self._pools.pop(d_sid).members]
        return [*self._watch(members), *(InterceptService(d_sid) for d_sid in d_sids)]

    def _watch(self, d_bids: Iterable[Address]) -> list[Action]:
        new = dict.fromkeys(d_bid for d_bid in d_bids if d_bid not in self._watched)
        self._watched.update(new)
        return [WatchAnswers(d_bid) for d_bid in new]

    def reset_flows(self, services: Collection[Service], start: int, slots: int) -> tuple[list[Action], int | None]:
        """End the flows of services that are bound in some slots of the affinity table, and those the switch bound.

        Returns the slot to go on from, too; None: all were ended. The latter are ended with the first slots.
        """
        d_sids = {d_sid for service in services for d_sid in service.d_sids}
        entries, following = self.affinity.page(start, slots)
        ended = [entry for entry in entries if entry.d_sid in d_sids]
        self.counters["bindings_reset"] += len(ended)
        actions = [action for entry in ended for action in self._end(entry)]
        if start == 0:
            pooled = [tuple(d_sid for d_sid in service.d_sids if d_sid in self._pools) for service in services]
            actions += [ResetFlows(of_service) for of_service in pooled if of_service]
        return actions, following

    def _end(self, entry: AffinityEntry) -> list[Action]:
        self.affinity.end(entry)
        self.counters["bindings_ended"] += 1
        return [RemoveAffinity(entry)]

    def _drop(self, reason: str) -> list[Action]:
        self.counters[f"dropped_{reason}"] += 1
        return [DropPacket(reason)]

    # -- deciding --------------------------------------------------------------------------------

    def _outlook(self, service: Service, d_sid: Address) -> Outlook:
        return Outlook(service.name, d_sid, self.config.site, self.bindings, self.paths, self._sessions)

    def _decide(self, service: Service, flow: FlowKey, now_s: float) -> Decided | None:
        choice = self._selections[flow.dst].choose(now_s, lambda d_bid: self.affinity.has_way_home(flow, d_bid))
        if choice is None:
            return None
        self.counters["decisions"] += 1
        return Decided(
            now_s, service.name, service.policy, flow, choice.d_bid, choice.site, choice.metrics_age_s,
            choice.considered, choice.weighed,
        )  # fmt: skip

    def weighed(self, d_sid: Address, now_s: float) -> tuple[Weighed, ...]:
        """Return the instances that may take a flow to a D-SID, with their shares of the next `SHARES` flows."""
        return self._selections[d_sid].weighed(SHARES, now_s)

    def pool(self, d_sid: Address) -> Pool | None:
        """Return the pool of a D-SID whose flows the switch binds; None if this D-Router does."""
        return self._pools.get(d_sid)

    # -- in-band messages ------------------------------------------------------------------------

    def on_message(self, data: bytes, source: Address, now_s: float) -> list[Action]:
        """Take in a datagram from a D-MA or another D-Router; what is not to be believed is counted and dropped."""
        try:
            message, epoch = self._admission.admit(data, now_s)
        except Refused as refused:
            self.counters[refused.counter] += 1
            return [MetricsReceived(now_s, refused.site or str(source), refused.sequence, "dropped", refused.reason)]
        if isinstance(message, Probe):
            return self._on_probe(message, source, now_s)
        return self._on_report(message, epoch, data, now_s)

    def _on_probe(self, probe: Probe, source: Address, now_s: float) -> list[Action]:
        if not probe.is_reply:
            answer = Probe(self.config.site, probe.sequence, probe.sent_s, is_reply=True)
            return [SendMessage(source, self._signed(answer, probe.site), "probe_reply")]
        path = self.paths.get(probe.site)
        rtt_s = now_s - probe.sent_s
        if path is None or rtt_s < 0:
            self.counters["probes_unexpected"] += 1
            return []
        path.on_reply(rtt_s, now_s)
        return []

    def _on_report(self, report: Report, epoch: int, data: bytes, now_s: float) -> list[Action]:
        if not self.bindings.apply(report, now_s, epoch):
            self.counters["reports_overtaken"] += 1
            return [MetricsReceived(now_s, report.site, report.sequence, "dropped", "replayed or overtaken")]
        self._learn_from(report)
        actions: list[Action] = [
            MetricsReceived(now_s, report.site, report.sequence, "received", "", told.d_sid, told.d_bid)
            for told in report.bindings
        ]
        actions += self._watch(
            told.d_bid for told in report.bindings if told.d_sid in self._services and told.d_sid not in self._pools
        )
        actions += self._on_states(report)
        for d_sid in dict.fromkeys(told.d_sid for told in report.bindings):
            actions += self._spread(d_sid, now_s)
        if report.site == self.config.site:  # as it came: the agent's own tag convinces the others
            actions.extend(SendMessage(peer.address, data, "report") for peer in self.config.peers)
        return actions

    def _learn_from(self, report: Report) -> None:
        path = self.paths.get(report.site)
        rtt_s = path.cost_s if path else 0.0
        for told in report.bindings:
            service = self._services.get(told.d_sid)
            if service is None:
                continue
            if told.raw is not None:
                # A request follows upon a handshake, a stream begins with its first packet.
                travel_s = rtt_s * (0.5 + self._sessions.load_per_session(service.name))
                self._sessions.on_report(service.name, told.d_bid, told.raw, report.sent_s, travel_s)
            self._selections[told.d_sid].on_told(told.d_bid)

    # -- datapath affinity -----------------------------------------------------------------------

    def _spread(self, d_sid: Address, now_s: float) -> list[Action]:
        """Move the weights of a D-SID in the switch, if they are others than it has."""
        pool = self._pools.get(d_sid)
        if pool is None:
            return []
        spread = pool.spread(self._selections[d_sid].shares(SHARES, now_s))
        return [spread] if spread else []

    def _on_states(self, report: Report) -> list[Action]:
        """Break the flows of instances that turn out to have died."""
        actions: list[Action] = []
        for told in report.bindings:
            key = (told.d_sid, told.d_bid)
            self._down_reports[key] = self._down_reports[key] + 1 if told.state is State.DOWN else 0
            if self._down_reports[key] == _REPORTS_OF_DEATH:
                actions += self._break(*key)
            elif told.d_sid in self._pools and self._down_reports[key] < _REPORTS_OF_DEATH:
                self._pools[told.d_sid].add(told.d_bid)
        return actions

    def _break(self, d_sid: Address, d_bid: Address) -> list[Action]:
        pool = self._pools.get(d_sid)
        if pool is not None:
            return [BreakFlows(d_sid, d_bid)] if pool.remove(d_bid) else []
        broken = [entry for entry in self.affinity if entry.d_bid == d_bid and entry.d_sid == d_sid]
        self.counters["flows_broken"] += len(broken)
        return [action for entry in broken for action in self._end(entry)]

    # -- time ------------------------------------------------------------------------------------

    def on_timer(self, now_s: float) -> list[Action]:
        """Do what is due: probe the paths to all peers, notice what has gone, reckon weights anew."""
        return self._probe(now_s) + self._look_around(now_s)

    def _look_around(self, now_s: float) -> list[Action]:
        if self._next_spread_s is not None and now_s < self._next_spread_s:
            return []
        self._next_spread_s = now_s + _SPREAD_INTERVAL_S
        return self._notice(now_s) + [action for d_sid in self._pools for action in self._spread(d_sid, now_s)]

    def _notice(self, now_s: float) -> list[Action]:
        changes = self._liveness.changes(now_s)
        for change in changes:
            self.counters[change.event] += 1
            if change.event == "path_lost":  # bound flows stay, for the site may come back; these wait for it
                cut_off = sum(entry.egress == change.site for entry in self.affinity)
                self.counters["flows_cut_off"] += cut_off
        return list(changes)

    def _probe(self, now_s: float) -> list[Action]:
        if self._next_probe_s is not None and now_s < self._next_probe_s:
            return []
        self._next_probe_s = now_s + self.config.probe_interval_s
        self._probe_sequence += 1
        probe = Probe(self.config.site, self._probe_sequence, now_s)
        for path in self.paths.values():
            path.on_probe_sent()
        return [SendMessage(peer.address, self._signed(probe, peer.site), "probe") for peer in self.config.peers]

    def _signed(self, probe: Probe, receiver: str) -> bytes:
        data = codec.encode(probe)
        return self._authenticator.sign(data, receiver) if self._authenticator else data


def _policies(config: DRouterConfig) -> Iterator[tuple[Service, Policy]]:
    for service in config.services:
        yield service, policies.create(service.policy, **config.policy_parameters.get(service.policy, {}))
