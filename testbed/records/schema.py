"""What the tables of a run hold: of each column its type, unit and meaning. docs/tables.md is made from this.

Owns the types that readers get. The columns themselves, and their order, are those of `testbed.records.tables`.
Times are seconds on CLOCK_MONOTONIC; a run's `start_s` is when its workloads began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WORD, TEXT, NUMBER, WHOLE = "category", "str", "float64", "Int64"


@dataclass(frozen=True)
class Column:
    """`dtype` is pandas'; a row that lacks a column that is `required` was cut short, and nothing can be made of it."""

    dtype: str
    unit: str
    meaning: str
    required: bool = False


@dataclass(frozen=True)
class Table:
    """`row`: what one row stands for. `is_later`: runs of this format may lack it, for it came later."""

    row: str
    columns: Mapping[str, Column]
    is_later: bool = False


def _word(meaning: str, *, required: bool = False) -> Column:
    return Column(WORD, "", meaning, required)


def _text(meaning: str, *, required: bool = False) -> Column:
    return Column(TEXT, "", meaning, required)


def _number(unit: str, meaning: str, *, required: bool = False) -> Column:
    return Column(NUMBER, unit, meaning, required)


def _whole(meaning: str) -> Column:
    return Column(WHOLE, "", meaning)


_S, _MS, _BYTES = "s", "ms", "byte"
_PROTO = _word("tcp or udp")
_D_SID, _D_BID = _word("the service's address"), _word("the instance's address")
_SERVICE, _CLIENT = _word("its name in the scenario"), _word("host")
_D_ROUTER = _word("site of the D-Router", required=True)

SCHEMA: Mapping[str, Table] = {
    "flows": Table(
        "flow that a generator offered: a request, or a stream of RTP or RTCP",
        {
            "flow_id": _text("name of the flow, the only one of its name", required=True),
            "call": _text("call that a stream belongs to"),
            "workload": _word("its name in the scenario"),
            "kind": _word("http, rtp_audio, rtp_video, rtcp_audio, rtcp_video", required=True),
            "service": _word("its name in the scenario", required=True),
            "client": _word("host that offered it", required=True),
            "ingress": _word("site of the client's D-Router"),
            "instance": _word("who served it, as its answer says; `served_flows` adds what instances saw"),
            "site": _word("where that instance is"),
            "proto": _PROTO,
            "src": _word("the client's address"),
            "src_port": _whole("the client's port"),
            "d_sid": _D_SID,
            "dst": _word("address that it was sent to: the D-SID, or what a name server answered"),
            "dst_port": _whole("port of the service"),
            "resolution_ms": _number(_MS, "wait for the name server, where the client looks the name up"),
            "due_s": _number(_S, "when it was due by the schedule", required=True),
            "started_s": _number(_S, "when it was begun"),
            "connected_s": _number(_S, "when the TCP connection was there"),
            "finished_s": _number(_S, "when it had ended"),
            "completion_ms": _number(_MS, "from due until ended: lateness of the generator is in it"),
            "bytes_sent": _number(_BYTES, "payload"),
            "bytes_received": _number(_BYTES, "payload"),
            "packets_sent": _number("", "of a stream"),
            "packets_received": _number("", "of a stream, echoed"),
            "requested_rate_pps": _number("1/s", "packets that the schedule asked for"),
            "achieved_rate_pps": _number("1/s", "packets that were sent"),
            "work_ms": _number(_MS, "work asked for: service time at a worker of speed 1"),
            "outcome": _word(
                "ok; refused (HTTP 503, full queue); timeout; reset; unreachable; unresolved (no address for the "
                "name); no_answer (RTP); error; local_limit (no socket or port left); interrupted (the run ended)"
            ),
        },
    ),
    "dns": Table(
        "question of a client to the name server",
        {
            "time_s": _number(_S, "when it was asked", required=True),
            "client": _word("who asked", required=True),
            "service": _SERVICE,
            "host_name": _word("name that was asked for", required=True),
            "type": _word("A or AAAA"),
            "server": _word("address of the name server"),
            "answer": _word("address that it gave"),
            "ttl_s": _number(_S, "how long the client may keep it"),
            "took_ms": _number(_MS, "until the answer was there"),
            "outcome": _word("ok, or what went wrong"),
        },
    ),
    "rtp": Table(
        "RTP stream at one receiver, by RFC 3550",
        {
            "flow_id": _text("the flow; what an instance hears has none"),
            "call": _text("CNAME by which its sender says what it belongs to"),
            "receiver": _word("instance or client", required=True),
            "direction": _word("up: at the instance; echo: back at the client", required=True),
            "src": _word("the client's address"),
            "src_port": _whole("the client's port"),
            "ssrc": _whole("synchronisation source"),
            "payload_type": _whole("0: audio (G.711), 96: video; or what a trace says"),
            "first_s": _number(_S, "first packet"),
            "last_s": _number(_S, "last packet"),
            "packets_expected": _number("", "up: from the first to the last sequence number; echo: sent"),
            "packets_received": _number("", "duplicates included"),
            "packets_lost": _number("", "expected less distinct ones received"),
            "loss_fraction": _number("0..1", "lost of expected"),
            "duplicates": _number("", "packets received again"),
            "reordered": _number("", "packets that came after a later one"),
            "jitter_ms": _number(_MS, "interarrival jitter at the end of the stream"),
            "delay_mean_ms": _number(_MS, "up: one way (the hosts share a clock); echo: there and back"),
            "delay_p95_ms": _number(_MS, "the same, 95th percentile"),
            "delay_max_ms": _number(_MS, "the same, longest"),
        },
    ),
    "decisions": Table(
        "decision of an ingress D-Router (reactive mode), of an egress that chooses for its site, or of a name server",
        {
            "time_s": _number(_S, "when it was made", required=True),
            "d_router": _D_ROUTER,
            "service": _SERVICE,
            "policy": _word("that decided"),
            "proto": _PROTO,
            "src": _word("the client's address"),
            "src_port": _whole("the client's port"),
            "d_sid": _D_SID,
            "dst_port": _whole("port of the service"),
            "d_bid": _word("instance chosen; none where a site is"),
            "egress": _word("its site"),
            "metrics_age_s": _number(_S, "since what was known of the chosen one was measured"),
            "considered": _number("", "instances that were open to the flow"),
            "candidates": _text(
                "JSON: what was known of the chosen one and of the cheapest, with weight and cost in the policy's unit"
            ),
        },
    ),
    "weights": Table(
        "new weight of an instance in an ingress's switch (datapath mode); who is not named has none",
        {
            "time_s": _number(_S, "when the switch was told", required=True),
            "d_router": _D_ROUTER,
            "service": _SERVICE,
            "d_sid": _word("the service's address", required=True),
            "d_bid": _word("the instance's address", required=True),
            "weight": _number("of 64", "share of new flows", required=True),
        },
    ),
    "metrics": Table(
        "metric report sent, received or dropped for one instance, or what a D-Router noticed without one",
        {
            "time_s": _number(_S, "when", required=True),
            "node": _word("D-MA or D-Router", required=True),
            "event": _word("sent, received, dropped, expired, path_lost, path_back", required=True),
            "reason": _word("why it was dropped, or the state of an instance that is not up"),
            "source": _word("site that it is from"),
            "sequence": _whole("of the sender's reports"),
            "d_sid": _D_SID,
            "d_bid": _D_BID,
            "score": _number("0..10", "L2: overall, higher is better"),
            "workers": _number("", "workers of the instance"),
            "busy_workers": _number("", "workers that serve"),
            "queue_length": _number("", "requests that wait"),
            "queue_limit": _number("", "requests that may wait"),
            "sessions": _number("", "requests and streams there are"),
            "sessions_started": _number("", "requests and streams that ever began"),
            "utilisation": _number("0..1", "busy share of worker time"),
            "service_time_ms": _number(_MS, "mean"),
            "cpu_utilisation": _number("0..1", "share of the CPU that it may use"),
            "memory_bytes": _number(_BYTES, "resident"),
            "memory_limit_bytes": _number(_BYTES, "that it may use"),
            "capacity_per_s": _number("1/s", "requests that it could serve"),
            "throughput_bps": _number("bit/s", "busier direction of its interfaces"),
            "computing_score": _number("0..10", "L1"),
            "communication_score": _number("0..10", "L1"),
            "service_score": _number("0..10", "L1"),
            "age_s": _number(_S, "since it was measured"),
        },
    ),
    "instances": Table(
        "sample of an instance, each half second, by the instance itself",
        {
            "time_s": _number(_S, "when", required=True),
            "instance": _word("its name", required=True),
            "service": _SERVICE,
            "site": _word("where it is"),
            "workers": _number("", "workers"),
            "busy_workers": _number("", "workers that serve"),
            "queue_length": _number("", "requests that wait", required=True),
            "sessions": _number("", "requests and streams there are"),
            "utilisation": _number("0..1", "busy share of worker time since the sample before", required=True),
            "completed": _number("", "served since its start"),
            "refused": _number("", "refused since its start"),
            "cpu_s": _number(_S, "CPU time of the process since its start"),
        },
    ),
    "ports": Table(
        "reading of a D-Router's port",
        {
            "time_s": _number(_S, "when", required=True),
            "d_router": _D_ROUTER,
            "port": _word("its interface", required=True),
            "rate_mbps": _number("Mbit/s", "of the link"),
            "sent_bytes": _number(_BYTES, "since the start"),
            "sent_packets": _number("", "since the start"),
            "dropped_packets": _number("", "since the start"),
            "sent_mbps": _number("Mbit/s", "smoothed"),
            "utilisation": _number("0..1", "smoothed"),
            "drop_share": _number("0..1", "smoothed"),
            "queueing_ms": _number(_MS, "wait that is expected by utilisation"),
        },
    ),
    "control": Table(
        "counter of signalling at some moment, cumulative",
        {
            "time_s": _number(_S, "when it was read", required=True),
            "node": _word("whose", required=True),
            "direction": _word("sent, received; local: counted by the node for itself", required=True),
            "peer": _word("who was on the other end"),
            "kind": _word("kind of message, or name of what was counted", required=True),
            "messages": _number("", "messages, or how often", required=True),
            "bytes": _number(_BYTES, "payload", required=True),
        },
    ),
    "commands": Table(
        "command that a workload ran at a client",
        {
            "workload": _word("its name in the scenario", required=True),
            "service": _SERVICE,
            "client": _word("host that it ran at", required=True),
            "argv": _text("command line"),
            "due_s": _number(_S, "when it was due"),
            "started_s": _number(_S, "when it was begun"),
            "finished_s": _number(_S, "when it had ended"),
            "exit_code": _whole("its own"),
            "outcome": _word(
                "ok; failed (by itself, exit code not 0); ended (by the testbed, as planned); overdue (the same, but "
                "it should have ended by itself); interrupted",
                required=True,
            ),
            "figures": _text("JSON: what a known tool's output says"),
            "output": _text("file in the run's folder"),
            "last_words": _text("last line of a command that failed"),
        },
        is_later=True,
    ),
    "affinity": Table(
        "flow that an instance saw: the ground truth. For somebody else's program it is taken from packets",
        {
            "instance": _word("who saw it", required=True),
            "service": _word("its name in the scenario", required=True),
            "proto": _word("tcp or udp", required=True),
            "src": _word("the client's address", required=True),
            "src_port": _whole("the client's port"),
            "dst": _word("address that it came to"),
            "dst_port": _whole("port that it came to"),
            "first_s": _number(_S, "first packet or connection", required=True),
            "last_s": _number(_S, "last one; of a request, when it was read"),
            "packets": _number("", "of streams"),
            "bytes": _number(_BYTES, "payload"),
        },
    ),
    "faults": Table(
        "begin or end of a fault; of a migration also when the old instance began to drain and when it stopped",
        {
            "number": _whole("which fault of the scenario, from 0"),
            "due_s": _number(_S, "when it was due"),
            "time_s": _number(_S, "when it was done", required=True),
            "fault": _word("its kind", required=True),
            "target": _word("what it hit"),
            "event": _word("begin, end, draining, stopped"),
            "detail": _word("what was done"),
            "time_to_detect_s": _number(_S, "until the first D-Router knew"),
            "time_to_tell_all_s": _number(_S, "until all knew"),
            "time_to_steer_away_s": _number(_S, "until the last new flow was sent there"),
            "flows_broken": _whole("bound flows that did not survive"),
        },
    ),
}


def as_markdown() -> str:
    """Return docs/tables.md."""
    parts = [_HEAD]
    for name, table in SCHEMA.items():
        parts += [
            f"## {name}.csv",
            "",
            f"A row per {table.row}.",
            "",
            "| column | type | unit | |",
            "|---|---|---|---|",
        ]
        parts += [
            f"| `{column}`{' *' if item.required else ''} | {item.dtype} | {item.unit} | {item.meaning} |"
            for column, item in table.columns.items()
        ]
        parts.append("")
    return "\n".join(parts)


_HEAD = """# Tables of a run

What `dyncast schema --tables` prints. Every run folder has all of these files, if only with their headers. Times
are seconds on CLOCK_MONOTONIC, which all processes of a machine share; by the manifest's `start_s` the workloads began.
Types are those of `testbed.analysis.load` ([python.md](python.md)); an empty field is missing, not 0. A row that lacks
a column marked * was cut short, and is an error.
"""
