"""The tables that Dyncast's processes write: decisions, weights, metric reports, ports of D-Routers.

Owns their columns and what these mean.
"""

from __future__ import annotations

from collections.abc import Mapping

from testbed.records.columns import (
    BYTES,
    D_BID,
    D_SID,
    MILLISECONDS,
    PROTO,
    SECONDS,
    SERVICE,
    Table,
    number,
    text,
    whole,
    word,
)

D_ROUTER = word("site of the D-Router", required=True)

TABLES: Mapping[str, Table] = {
    "decisions": Table(
        "decision of an ingress D-Router (reactive mode), of an egress that chooses for its site, or of a name server",
        {
            "time_s": number(SECONDS, "when it was made", required=True),
            "d_router": D_ROUTER,
            "service": SERVICE,
            "policy": word("that decided"),
            "proto": PROTO,
            "src": word("the client's address"),
            "src_port": whole("the client's port"),
            "d_sid": D_SID,
            "dst_port": whole("port of the service"),
            "d_bid": word("instance chosen; none where a site is"),
            "egress": word("its site"),
            "metrics_age_s": number(SECONDS, "since what was known of the chosen one was measured"),
            "considered": number("", "instances that were open to the flow"),
            "candidates": text(
                "JSON: what was known of the chosen one and of the cheapest, with weight and cost in the policy's unit"
            ),
        },
    ),
    "direct": Table(
        "conversation of a client with an instance at its own address, not by a D-SID; answers alone are a leak",
        {
            "client": word("host that it was seen at", required=True),
            "proto": PROTO,
            "src": word("the client's address", required=True),
            "src_port": whole("the client's port; 0: of later fragments"),
            "d_bid": word("the instance's address", required=True),
            "dst_port": whole("the instance's port"),
            "asked": number("", "packets of the client; 0 where the instance spoke first", required=True),
            "answered": number("", "packets of the instance, ICMP errors included", required=True),
            "first_s": number(SECONDS, "first packet", required=True),
            "last_s": number(SECONDS, "last one", required=True),
        },
        since="2026-11-30",
    ),
    "weights": Table(
        "new weight of an instance in an ingress's switch (datapath mode); who is not named has none",
        {
            "time_s": number(SECONDS, "when the switch was set", required=True),
            "d_router": D_ROUTER,
            "service": SERVICE,
            "d_sid": word("the service's address", required=True),
            "d_bid": word("the instance's address", required=True),
            "weight": number("of 64", "share of new flows", required=True),
        },
    ),
    "metrics": Table(
        "metric report sent, received or dropped for one instance, or what a D-Router noticed without one",
        {
            "time_s": number(SECONDS, "when", required=True),
            "node": word("D-MA or D-Router", required=True),
            "event": word("sent, received, dropped, expired, path_lost, path_back", required=True),
            "reason": word("why it was dropped, or the state of an instance that is not up"),
            "source": word("site that it is from"),
            "sequence": whole("of the sender's reports"),
            "d_sid": D_SID,
            "d_bid": D_BID,
            "score": number("0..10", "L2: overall, higher is better"),
            "workers": number("", "workers of the instance"),
            "busy_workers": number("", "workers that serve"),
            "queue_length": number("", "requests that wait"),
            "queue_limit": number("", "requests that may wait"),
            "sessions": number("", "requests and streams there are"),
            "sessions_started": number("", "requests and streams that ever began"),
            "utilisation": number("0..1", "busy share of worker time"),
            "service_time_ms": number(MILLISECONDS, "mean"),
            "cpu_utilisation": number("0..1", "share of the CPU that it may use"),
            "memory_bytes": number(BYTES, "resident"),
            "memory_limit_bytes": number(BYTES, "that it may use"),
            "capacity_per_s": number("1/s", "requests that it could serve"),
            "throughput_bps": number("bit/s", "busier direction of its interfaces"),
            "computing_score": number("0..10", "L1"),
            "communication_score": number("0..10", "L1"),
            "service_score": number("0..10", "L1"),
            "age_s": number(SECONDS, "since it was measured"),
        },
    ),
    "ports": Table(
        "reading of a D-Router's port",
        {
            "time_s": number(SECONDS, "when", required=True),
            "d_router": D_ROUTER,
            "port": word("its interface", required=True),
            "rate_mbps": number("Mbit/s", "of the link"),
            "sent_bytes": number(BYTES, "since the start"),
            "sent_packets": number("", "since the start"),
            "dropped_packets": number("", "since the start"),
            "sent_mbps": number("Mbit/s", "smoothed"),
            "utilisation": number("0..1", "smoothed"),
            "drop_share": number("0..1", "smoothed"),
            "queueing_ms": number(MILLISECONDS, "wait that is expected by utilisation"),
        },
    ),
}
