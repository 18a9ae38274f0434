"""The D-Router: what arrives (packets, messages, switch events, time) goes in, actions come out.

Pure: no clock, no socket, no OpenFlow. It owns the roles of sections 3 and 4 of the Dyncast
architecture: ingress (choose an instance, keep affinity), member of the control plane (pass on its
site's metrics, hear those of others) and measurer of paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from testbed.dyncast import codec, policies
from testbed.dyncast.actions import (
    Action,
    Decided,
    DropPacket,
    ForwardPacket,
    InstallAffinity,
    InterceptService,
    MetricsReceived,
    ReadReturnPackets,
    RemoveAffinity,
    SendMessage,
)
from testbed.dyncast.affinity import AffinityEntry, AffinityTable
from testbed.dyncast.bindings import Binding, BindingTable
from testbed.dyncast.codec import Address, Probe, Report
from testbed.dyncast.flows import FlowKey, Service
from testbed.dyncast.network_state import PathState
from testbed.dyncast.policies import Candidate, Policy
from testbed.dyncast.session_model import SessionModel

_REINSTALL_AFTER_S = 0.5  # a packet of a bound flow that still comes up this late: the switch lost the entry


@dataclass(frozen=True)
class Peer:
    """Another D-Router: where its messages go, and the routing's round-trip cost to it."""

    site: str
    address: Address
    path_cost_ms: float


@dataclass(frozen=True)
class DRouterConfig:
    """What a D-Router is told at its start."""

    site: str
    services: tuple[Service, ...]
    peers: tuple[Peer, ...] = ()
    metric_lifetime_s: float = 10.0
    probe_interval_s: float = 1.0
    policy_parameters: dict[str, dict[str, float]] = field(default_factory=dict)


class DRouter:
    """One D-Router. `rng` draws among the weights of a policy."""

    def __init__(self, config: DRouterConfig, rng: Random) -> None:
        self.config = config
        self.bindings = BindingTable(config.metric_lifetime_s)
        self.affinity = AffinityTable()
        self.counters: Counter[str] = Counter()
        self.paths = {peer.site: PathState(peer.site, peer.path_cost_ms) for peer in config.peers}
        self._rng = rng
        self._peers = {peer.site: peer for peer in config.peers}
        self._services = {d_sid: service for service in config.services for d_sid in service.d_sids}
        self._policies: dict[str, Policy] = {
            service.name: policies.create(service.policy, **config.policy_parameters.get(service.policy, {}))
            for service in config.services
        }
        self._sessions = SessionModel()
        self._probe_sequence = 0
        self._next_probe_s: float | None = None

    # -- the switch ------------------------------------------------------------------------------

    def on_switch_connected(self, now_s: float) -> list[Action]:
        """Put everything this D-Router knows into a switch that may know nothing."""
        self.counters["switch_connected"] += 1
        actions: list[Action] = [InterceptService(d_sid) for d_sid in self._services]
        for entry in self.affinity:
            entry.installed_s = now_s
            actions.append(InstallAffinity(entry))
        return actions

    def on_packet(self, packet: FlowKey, now_s: float) -> list[Action]:
        """Steer a packet to a D-SID that the switch had no entry for."""
        service = self._services.get(packet.dst)
        if service is None:
            return self._drop("unknown_d_sid")
        if service.identifies_by_ports and packet.lacks_ports:
            return self._drop("no_ports")
        flow = packet.masked(service.flow_fields)
        entry = self.affinity.find(flow)
        if entry is not None:
            self.counters["packets_before_entry"] += 1
            if now_s - entry.installed_s < _REINSTALL_AFTER_S:
                return [ForwardPacket(entry)]
            entry.installed_s = now_s
            return [InstallAffinity(entry), ForwardPacket(entry)]
        candidates = self._candidates(service, packet.dst, now_s)
        if not candidates:
            return self._drop("no_instance")
        candidates = [item for item in candidates if not self.affinity.has_way_home(flow, item.d_bid)]
        if not candidates:
            return self._drop("way_home_taken")
        decided = self._decide(service, flow, candidates, now_s)
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
            entry.return_packets = packets
            entry.installed_s = now_s
            return [InstallAffinity(entry)]
        return self._end(entry)

    def _end(self, entry: AffinityEntry) -> list[Action]:
        self.affinity.end(entry)
        self.counters["bindings_ended"] += 1
        return [RemoveAffinity(entry)]

    def _drop(self, reason: str) -> list[Action]:
        self.counters[f"dropped_{reason}"] += 1
        return [DropPacket(reason)]

    # -- deciding --------------------------------------------------------------------------------

    def _candidates(self, service: Service, d_sid: Address, now_s: float) -> list[Candidate]:
        return [
            self._candidate(service.name, binding, now_s)
            for binding in self.bindings.usable(d_sid, now_s)
            if binding.site == self.config.site or binding.site in self.paths
        ]

    def _candidate(self, service: str, binding: Binding, now_s: float) -> Candidate:
        path = self.paths.get(binding.site)
        age_s = now_s - binding.measured_s
        reported = binding.raw.sessions if binding.raw else 0
        return Candidate(
            d_bid=binding.d_bid,
            site=binding.site,
            path_cost_ms=path.path_cost_ms if path else 0.0,
            rtt_s=path.cost_s if path else 0.0,
            metrics=binding.raw,
            metrics_age_s=age_s,
            expected_sessions=self._sessions.expected_sessions(service, binding.d_bid, reported, age_s, now_s),
            load_per_session=self._sessions.load_per_session(service),
            unseen=self._sessions.unseen(binding.d_bid),
        )

    def _decide(self, service: Service, flow: FlowKey, candidates: Sequence[Candidate], now_s: float) -> Decided:
        policy = self._policies[service.name]
        weights = policy.weights(candidates, now_s)
        d_bid = self._rng.choices(list(weights), list(weights.values()))[0]
        policy.on_chosen(d_bid)
        chosen = next(item for item in candidates if item.d_bid == d_bid)
        self._sessions.on_given(d_bid, now_s)
        self.counters["decisions"] += 1
        return Decided(
            now_s, service.name, service.policy, flow, d_bid, chosen.site, chosen.metrics_age_s,
            tuple(candidates), weights, policy.costs_ms(candidates),
        )  # fmt: skip

    # -- in-band messages ------------------------------------------------------------------------

    def on_message(self, data: bytes, source: Address, now_s: float) -> list[Action]:
        """Take in a datagram from a D-MA or another D-Router; malformed ones are counted and dropped."""
        try:
            message = codec.decode(data)
        except codec.CodecError as error:
            self.counters["messages_malformed"] += 1
            return [MetricsReceived(now_s, str(source), 0, "dropped", f"malformed: {error}")]
        if isinstance(message, Probe):
            return self._on_probe(message, source, now_s)
        return self._on_report(message, data, now_s)

    def _on_probe(self, probe: Probe, source: Address, now_s: float) -> list[Action]:
        if not probe.is_reply:
            answer = Probe(self.config.site, probe.sequence, probe.sent_s, is_reply=True)
            return [SendMessage(source, codec.encode(answer), "probe_reply")]
        path = self.paths.get(probe.site)
        rtt_s = now_s - probe.sent_s
        if path is None or rtt_s < 0:
            self.counters["probes_unexpected"] += 1
            return []
        path.on_reply(rtt_s, now_s)
        return []

    def _on_report(self, report: Report, data: bytes, now_s: float) -> list[Action]:
        own = report.site == self.config.site
        if not own and report.site not in self._peers:
            self.counters["reports_unknown_site"] += 1
            return [MetricsReceived(now_s, report.site, report.sequence, "dropped", "unknown site")]
        if not self.bindings.apply(report, now_s):
            self.counters["reports_stale"] += 1
            return [MetricsReceived(now_s, report.site, report.sequence, "dropped", "replayed or overtaken")]
        self._learn_from(report)
        actions: list[Action] = [
            MetricsReceived(now_s, report.site, report.sequence, "received", "", told.d_sid, told.d_bid)
            for told in report.bindings
        ]
        if own:
            actions.extend(SendMessage(peer.address, data, "report") for peer in self.config.peers)
        return actions

    def _learn_from(self, report: Report) -> None:
        path = self.paths.get(report.site)
        travel_s = path.cost_s / 2 if path else 0.0
        for told in report.bindings:
            service = self._services.get(told.d_sid)
            if service is not None and told.raw is not None:
                self._sessions.on_report(service.name, told.d_bid, told.raw, report.sent_s, travel_s)

    # -- time ------------------------------------------------------------------------------------

    def on_timer(self, now_s: float) -> list[Action]:
        """Do what is due: probe the paths to all peers."""
        if self._next_probe_s is not None and now_s < self._next_probe_s:
            return []
        self._next_probe_s = now_s + self.config.probe_interval_s
        self._probe_sequence += 1
        probe = codec.encode(Probe(self.config.site, self._probe_sequence, now_s))
        for path in self.paths.values():
            path.probes_sent += 1
        return [SendMessage(peer.address, probe, "probe") for peer in self.config.peers]
