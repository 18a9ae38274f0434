"""What a D-Router knows, as rows for people and programs who look inside: the documents of docs/inspect.md.

Pure: reads a `DRouter` at a time passed in and changes nothing, but may look at instances before that is due
(`selection`). A section comes in pages, each of which is made in some milliseconds, however many flows there are: a
D-Router that is looked at goes on steering in between. What it was asked by and where the answer goes is not known
here. The tables of sections 4.1 and 4.2 of the Dyncast architecture, and of figure 4 of the CFN-Dyncast architecture.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityEntry
from testbed.dyncast.monitoring.binding_table import Binding
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.monitoring.port_state import PortState
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import Peer
from testbed.dyncast.nodes.dispatcher import Dispatcher
from testbed.dyncast.nodes.weighted_group import WeightedGroup
from testbed.net.addresses import Address

SECTIONS = ("services", "bindings", "weights", "flows", "counters", "neighbours", "ports")

_BINDINGS = 200  # a page
_SLOTS = 500  # a page of the affinity table
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}

Row = Mapping[str, object]


class Page(NamedTuple):
    """Some rows of a section, and where the next page starts; None: that was the last."""

    rows: list[Row]
    following: int | None


def page(d_router: DRouter | Dispatcher, section: str, start: int, now_s: float) -> Page:
    """Return a page of a section; the first starts at 0. Raises ValueError for what is no section."""
    if section == "services":
        return Page(list(_services(d_router, now_s)), None)
    if section == "flows":
        entries, following = d_router.affinity.page(start, _SLOTS)
        return Page([_flow(d_router, entry, now_s) for entry in entries], following)
    if section == "counters":
        return Page([{"kind": kind, "count": count} for kind, count in sorted(d_router.counters.items())], None)
    if section in SECTIONS and isinstance(d_router, Dispatcher):
        return Page([], None)  # it receives no reports, weighs no instance and sends no probes
    assert isinstance(d_router, DRouter)
    if section == "bindings":
        return _bindings(d_router, start, now_s)
    if section == "weights":
        return _weights(d_router, start, now_s)
    if section == "neighbours":
        return Page([_neighbour(d_router, peer, now_s) for peer in d_router.config.peers], None)
    if section == "ports":
        return Page([_port(d_router, state) for state in d_router.ports.values()], None)
    raise ValueError(f"no section {section!r}; there are: {', '.join(SECTIONS)}")


def _services(d_router: DRouter | Dispatcher, now_s: float) -> Iterable[Row]:
    bound: Counter[Address] = Counter()
    for (d_sid, _), flows in d_router.affinity.counts().items():
        bound[d_sid] += flows
    known: dict[Address, list[Binding]] = defaultdict(list)
    for binding in d_router.bindings.all():
        known[binding.d_sid].append(binding)
    for service, d_sid in _offered(d_router):
        here, group = known[d_sid], _weighted_group(d_router, d_sid)
        yield {
            "service": service.name,
            "d_sid": str(d_sid),
            "policy": None if isinstance(d_router, Dispatcher) else service.policy,
            "flow_fields": list(service.flow_fields),
            "port_block": service.port_block,
            "timeout_s": service.affinity_timeout_s,
            "mode": service.affinity_mode,
            "steering": service.steering,
            "choice": service.choice,
            "bound_by": _binder(d_router) if group is None else "switch",
            "instances": len(here),
            "usable": sum(d_router.bindings.is_usable(binding, now_s) for binding in here),
            "flows_bound": bound[d_sid] if group is None else None,
            "flows_given": None if group is None else sum(group.assigned(binding.d_bid) for binding in here),
        }


def _bindings(d_router: DRouter, start: int, now_s: float) -> Page:
    known = d_router.bindings.all()
    names = {d_sid: service.name for service, d_sid in _offered(d_router)}
    bound = d_router.affinity.counts()
    rows: list[Row] = []
    for binding in known[start : start + _BINDINGS]:
        group = d_router.weighted_group(binding.d_sid)
        rows.append(
            {
                "service": names.get(binding.d_sid),
                "d_sid": str(binding.d_sid),
                "d_bid": str(binding.d_bid),
                "egress": binding.site,
                "state": binding.state.name.lower(),
                "usable": d_router.bindings.is_usable(binding, now_s),
                "score": binding.score,
                "metrics": _metrics(binding),
                "metrics_age_s": _ago(binding.measured_s, now_s),
                "heard_ago_s": _ago(binding.received_s, now_s),
                "flows_bound": bound[binding.d_sid, binding.d_bid] if group is None else None,
                "flows_given": None if group is None else group.assigned(binding.d_bid),
            }
        )
    following = start + _BINDINGS
    return Page(rows, following if following < len(known) else None)


def _weights(d_router: DRouter, start: int, now_s: float) -> Page:
    """Return the weights behind one D-SID: to compute those of all at once may take long."""
    offered = list(_offered(d_router))
    rows: list[Row] = []
    for service, d_sid in islice(offered, start, start + 1):
        weighed = d_router.weighed(d_sid, now_s)
        total = sum(item.weight for item in weighed)
        for item in weighed:
            candidate = item.candidate
            rows.append(
                {
                    "service": service.name,
                    "d_sid": str(d_sid),
                    "d_bid": None if service.choice == "site" else str(candidate.d_bid),
                    "egress": candidate.site,
                    "share": round(item.weight / total, 4) if total else 0.0,
                    "weight": item.weight,
                    "cost": None if item.cost is None else round(float(item.cost), 3),
                    "rtt_ms": round(candidate.rtt_s * 1e3, 3),
                    "metrics_age_s": round(candidate.metrics_age_s, 3),
                    "expected_sessions": round(candidate.expected_sessions, 3),
                    "unseen": candidate.unreported,
                }
            )
    return Page(rows, start + 1 if start + 1 < len(offered) else None)


def _flow(d_router: DRouter | Dispatcher, entry: AffinityEntry, now_s: float) -> Row:
    flow = entry.flow
    site = d_router.site_behind(entry.d_bid) if isinstance(d_router, DRouter) else None
    return {
        "src": None if flow.src is None else str(flow.src),
        "src_port": flow.src_port,
        "d_sid": str(flow.dst),
        "dst_port": flow.dst_port,
        "proto": None if flow.proto is None else _PROTOCOLS.get(flow.proto, str(flow.proto)),
        "d_bid": None if site else str(entry.d_bid),
        "egress": entry.egress or site,
        "age_s": _ago(entry.created_s, now_s),
        "timeout_s": entry.timeout_s,
        "held_by": "entry",
    }


def _neighbour(d_router: DRouter, peer: Peer, now_s: float) -> Row:
    path = d_router.paths[peer.site]
    return {
        "site": peer.site,
        "address": str(peer.address),
        "reachable": path.is_reachable,
        "control_silent": path.is_silent,
        "path_cost_ms": peer.path_cost_ms,
        "rtt_ms": _ms(path.rtt_s),
        "least_rtt_ms": _ms(path.least_rtt_s),
        "jitter_ms": _ms(path.jitter_s),
        "loss_percent": _loss_percent(path),
        "port": peer.port or None,
        "port_cost_ms": _ms(path.port_cost_s),
        "probes_sent": path.probes_sent,
        "probes_answered": path.replies,
        "probes_returned": path.probes_returned,
        "answered_ago_s": _ago(path.answered_s, now_s),
        "reported_ago_s": _ago(d_router.bindings.last_received_s(peer.site), now_s),
    }


def _port(d_router: DRouter, state: PortState) -> Row:
    port, counters = state.port, state.counters
    return {
        "port": port.name,
        "towards": [peer.site for peer in d_router.config.peers if peer.port == port.name],
        "rate_mbps": None if port.rate_bps is None else port.rate_bps / 1e6,
        "sent_mbps": None if state.sent_bps is None else round(state.sent_bps / 1e6, 3),
        "utilisation": None if state.utilisation is None else round(state.utilisation, 4),
        "drop_share": None if state.drop_share is None else round(state.drop_share, 4),
        "queueing_ms": _ms(state.queueing_s),
        "sent_packets": counters.sent_packets if counters else None,
        "dropped_packets": counters.dropped_packets if counters else None,
    }


def _loss_percent(path: PathState) -> float | None:
    # The last probe may still be under way.
    due = path.probes_sent - 1
    return round(100 * max(0, due - path.replies - path.probes_returned) / due, 2) if due > 0 else None


def _binder(d_router: DRouter | Dispatcher) -> str:
    return "dispatcher" if isinstance(d_router, Dispatcher) else "d_router"


def _weighted_group(d_router: DRouter | Dispatcher, d_sid: Address) -> WeightedGroup | None:
    return d_router.weighted_group(d_sid) if isinstance(d_router, DRouter) else None


def _offered(d_router: DRouter | Dispatcher) -> Iterable[tuple[Service, Address]]:
    return ((service, d_sid) for d_sid, service in d_router.services.items())


def _metrics(binding: Binding) -> Row | None:
    return None if binding.raw is None else dict(vars(binding.raw))


def _ago(time_s: float | None, now_s: float) -> float | None:
    return None if time_s is None else round(now_s - time_s, 3)


def _ms(duration_s: float | None) -> float | None:
    return None if duration_s is None else round(duration_s * 1e3, 3)
