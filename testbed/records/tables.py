"""The tables that a run leaves behind: those of every run, and those of the systems that ran.

Owns the catalogue. A row is one thing; times are seconds on CLOCK_MONOTONIC; a run's `start_s` is when its workloads
began. Each process writes parts `<table>.<process>.part.csv` in its work folder (`writer`); the runner merges them.
Stdlib only, for every process inside a namespace imports it. docs/tables.md is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping

from testbed import systems
from testbed.records.columns import (
    BYTES,
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

STAGE: Mapping[str, Table] = {
    "flows": Table(
        "flow that a generator offered: a request, or a stream of RTP or RTCP",
        {
            "flow_id": text("name of the flow, the only one of its name", required=True),
            "call": text("call that a stream belongs to"),
            "workload": word("its name in the scenario"),
            "kind": word("http, rtp_audio, rtp_video, rtcp_audio, rtcp_video, invoke", required=True),
            "service": word("its name in the scenario; of an invocation, the function's", required=True),
            "client": word("host that offered it", required=True),
            "ingress": word("site of the client's D-Router"),
            "instance": word(
                "who served it (a cluster, for one), as its answer says; `served_flows` adds what they saw"
            ),
            "site": word("where that instance is"),
            "proto": PROTO,
            "src": word("the client's address"),
            "src_port": whole("the client's port"),
            "d_sid": D_SID,
            "dst": word("address that it was sent to: the D-SID, or what a name server answered"),
            "dst_port": whole("port of the service"),
            "resolution_ms": number(MILLISECONDS, "wait for the name server, where the client looks the name up"),
            "due_s": number(SECONDS, "when it was due by the schedule", required=True),
            "started_s": number(SECONDS, "when it was begun"),
            "connected_s": number(SECONDS, "when the TCP connection was there"),
            "finished_s": number(SECONDS, "when it had ended"),
            "completion_ms": number(MILLISECONDS, "from due until ended: lateness of the generator is in it"),
            "bytes_sent": number(BYTES, "payload"),
            "bytes_received": number(BYTES, "payload"),
            "packets_sent": number("", "of a stream"),
            "packets_received": number("", "of a stream, echoed"),
            "requested_rate_pps": number("1/s", "packets that the schedule asked for"),
            "achieved_rate_pps": number("1/s", "packets that were sent"),
            "work_ms": number(MILLISECONDS, "work asked for: service time at a worker of speed 1"),
            "outcome": word(
                "ok; refused (HTTP 503, full queue); timeout; reset; unreachable; unresolved (no address for the "
                "name); no_answer (RTP); error; local_limit (no socket or port left); interrupted (the run ended)"
            ),
        },
    ),
    "dns": Table(
        "question of a client to the name server",
        {
            "time_s": number(SECONDS, "when it was asked", required=True),
            "client": word("who asked", required=True),
            "service": SERVICE,
            "host_name": word("name that was asked for", required=True),
            "type": word("A or AAAA"),
            "server": word("address of the name server"),
            "answer": word("address that it answered"),
            "ttl_s": number(SECONDS, "how long the client may keep it"),
            "took_ms": number(MILLISECONDS, "until the answer was there"),
            "outcome": word("ok, or what went wrong"),
        },
    ),
    "rtp": Table(
        "RTP stream at one receiver, by RFC 3550",
        {
            "flow_id": text("the flow; what an instance receives has none"),
            "call": text("CNAME by which its sender says what it belongs to"),
            "receiver": word("instance or client", required=True),
            "direction": word("up: at the instance; echo: back at the client", required=True),
            "src": word("the client's address"),
            "src_port": whole("the client's port"),
            "ssrc": whole("synchronisation source"),
            "payload_type": whole("0: audio (G.711), 96: video; or what a trace says"),
            "first_s": number(SECONDS, "first packet"),
            "last_s": number(SECONDS, "last packet"),
            "packets_expected": number("", "up: from the first to the last sequence number; echo: sent"),
            "packets_received": number("", "duplicates included"),
            "packets_lost": number("", "expected less distinct ones received"),
            "loss_fraction": number("0..1", "lost of expected"),
            "duplicates": number("", "packets received again"),
            "reordered": number("", "packets that came after a later one"),
            "jitter_ms": number(
                MILLISECONDS, "interarrival jitter at the end of the stream; none where its clock rate was not found"
            ),
            "delay_mean_ms": number(MILLISECONDS, "up: one way (the hosts share a clock); echo: there and back"),
            "delay_p95_ms": number(MILLISECONDS, "the same, 95th percentile"),
            "delay_max_ms": number(MILLISECONDS, "the same, longest"),
        },
    ),
    "instances": Table(
        "sample of an instance, each half second, by the instance itself",
        {
            "time_s": number(SECONDS, "when", required=True),
            "instance": word("its name", required=True),
            "service": SERVICE,
            "site": word("where it is"),
            "workers": number("", "workers"),
            "busy_workers": number("", "workers that serve"),
            "queue_length": number("", "requests that wait", required=True),
            "sessions": number("", "requests and streams there are"),
            "utilisation": number("0..1", "busy share of worker time since the sample before", required=True),
            "completed": number("", "served since its start"),
            "refused": number("", "refused since its start"),
            "cpu_s": number(SECONDS, "CPU time of the process since its start"),
        },
    ),
    "control": Table(
        "counter of signalling at some moment, cumulative",
        {
            "time_s": number(SECONDS, "when it was read", required=True),
            "node": word("whose", required=True),
            "direction": word("sent, received; local: counted by the node for itself", required=True),
            "peer": word("who was on the other end"),
            "kind": word("kind of message, or name of what was counted", required=True),
            "messages": number("", "messages, or how often", required=True),
            "bytes": number(BYTES, "payload", required=True),
        },
    ),
    "commands": Table(
        "command that a workload ran at a client",
        {
            "workload": word("its name in the scenario", required=True),
            "service": SERVICE,
            "client": word("host that it ran at", required=True),
            "argv": text("command line"),
            "due_s": number(SECONDS, "when it was due"),
            "started_s": number(SECONDS, "when it was begun"),
            "finished_s": number(SECONDS, "when it had ended"),
            "exit_code": whole("its own"),
            "outcome": word(
                "ok; failed (by itself: exit code not 0, or an error in a known tool's output); ended (by the testbed, "
                "as planned); overdue (the same, but it should have ended by itself); interrupted",
                required=True,
            ),
            "figures": text("JSON: what a known tool's output says"),
            "output": text("file in the run's folder"),
            "last_words": text("last line that it printed, or why it did not start"),
        },
    ),
    "affinity": Table(
        "flow that an instance saw: the ground truth. For somebody else's program it is taken from packets",
        {
            "instance": word("who saw it", required=True),
            "service": word("its name in the scenario", required=True),
            "proto": word("tcp or udp", required=True),
            "src": word("the client's address", required=True),
            "src_port": whole("the client's port"),
            "dst": word("address that it came to"),
            "dst_port": whole("port that it came to"),
            "first_s": number(SECONDS, "first packet or connection", required=True),
            "last_s": number(SECONDS, "last one; of a request, when it was read"),
            "packets": number("", "of streams"),
            "bytes": number(BYTES, "payload"),
            "ended": whole("TCP: 1 if its end was seen", since="2026-11-30"),
        },
    ),
    "faults": Table(
        "begin or end of a fault; of a migration also when the old instance began to drain and when it stopped; of a "
        "cluster that came back, when it had what it held",
        {
            "number": whole("which fault of the scenario, from 0"),
            "due_s": number(SECONDS, "when it was due"),
            "time_s": number(SECONDS, "when it was done", required=True),
            "fault": word("its kind", required=True),
            "target": word("what it hit"),
            "event": word("begin, end, draining, stopped, restored, unfinished"),
            "detail": word("what was done"),
            "time_to_detect_s": number(SECONDS, "until the first D-Router knew"),
            "time_to_tell_all_s": number(SECONDS, "until all knew"),
            "time_to_steer_away_s": number(SECONDS, "until the last new flow was sent there"),
            "flows_broken": whole("bound flows that did not survive"),
        },
    ),
}


def catalogue() -> dict[str, Table]:
    """Return all tables by name: those of every run, then those of each system. Raises ValueError for a name twice."""
    return {name: table for tables in by_owner().values() for name, table in tables.items()}


def by_owner() -> dict[str, Mapping[str, Table]]:
    """Return the tables of every run, under an empty name, and those of each system. Raises ValueError."""
    found: dict[str, Mapping[str, Table]] = {"": STAGE}
    owners = dict.fromkeys(STAGE, "every run")
    for system, tables in systems.parts("tables").items():
        for name in tables:
            if name in owners:
                raise ValueError(f"table {name!r} of {system} is one of {owners[name]} already; choose another name")
            owners[name] = system
        found[system] = tables
    return found


def columns_of(table: str) -> tuple[str, ...]:
    """Return the columns of a table, in their order. Raises KeyError for one that is not there."""
    return catalogue()[table].names
