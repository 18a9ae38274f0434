"""A run folder as a run would leave it: a small queueing model writes it, with the columns of the real tables.

Two services at four sites of unequal capacity, a hot spot of requests at the busiest client, RTP calls in between.
Policy `closest` keeps flows at home; any other takes the instance with the least expected wait and round trip.
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testbed.records.tables import catalogue
from testbed.records.writer import RecordWriter

START_S = 5000.0
WORKERS = {"chicago": 2, "denver": 4, "newyork": 3, "seattle": 8}
CLIENT_SHARE = {"chicago": 0.15, "denver": 0.1, "newyork": 0.65, "seattle": 0.1}
DISTANCE_MS = {  # one way
    ("chicago", "newyork"): 6.0,
    ("chicago", "denver"): 8.0,
    ("denver", "seattle"): 9.0,
    ("chicago", "seattle"): 16.0,
    ("denver", "newyork"): 14.0,
    ("newyork", "seattle"): 21.0,
}
QUEUE_LIMIT = 30
PACKETS_PER_S = 50
SAMPLE_INTERVAL_S = 0.5

Row = dict[str, object]


@dataclass
class _Pool:
    """`workers` servers and a bounded FIFO queue."""

    workers: int
    jobs_s: list[tuple[float, float, float]] = field(default_factory=list)  # arrival, start, end
    refused_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._free_s = [0.0] * self.workers

    def wait_s(self, now_s: float) -> float:
        return max(0.0, self._free_s[0] - now_s)

    def take(self, now_s: float, service_s: float) -> float | None:
        if sum(start_s > now_s for _, start_s, _ in self.jobs_s[-QUEUE_LIMIT - 1 :]) >= QUEUE_LIMIT:
            self.refused_s.append(now_s)
            return None
        start_s = max(now_s, heapq.heappop(self._free_s))
        heapq.heappush(self._free_s, start_s + service_s)
        self.jobs_s.append((now_s, start_s, start_s + service_s))
        return start_s + service_s


def distance_ms(a: str, b: str) -> float:
    return 0.3 if a == b else DISTANCE_MS[min(a, b), max(a, b)]


def _d_bid(service: str, site: str) -> str:
    return f"10.{list(WORKERS).index(site) + 1}.0.{10 if service == 'render' else 11}"


def write_run(
    run_dir: Path,
    *,
    policy: str = "closest",
    seed: int = 7,
    duration_s: float = 60.0,
    requests_per_s: float = 60.0,
    calls: int = 40,
    fidelity: Mapping[str, object] | None = None,
    **says: object,
) -> Path:
    """Write a whole run into `run_dir`, the same one for the same arguments; arrivals do not depend on the policy."""
    run_dir.mkdir(parents=True)
    rng = random.Random(seed)
    pools = {site: _Pool(workers) for site, workers in WORKERS.items()}
    with RecordWriter(run_dir, "all") as writer:
        _write_requests(writer, rng, pools, policy, duration_s, requests_per_s)
        _write_calls(writer, rng, pools, policy, duration_s, calls)
        _write_load(writer, pools, duration_s)
        _write_signalling(writer, rng, duration_s)
        writer.write(
            "faults", {"time_s": START_S + 40.0, "fault": "link_down", "target": "newyork-chicago", "event": "begin"}
        )
    finish(run_dir)
    manifest = {
        "scenario": "synthetic",
        "policy": policy,
        "seed": seed,
        "start_s": START_S,
        "duration_s": duration_s,
        "sites": [{"name": site, "at": site} for site in WORKERS],
        "instances": [
            {
                "name": f"{service}-1@{site}",
                "service": service,
                "site": site,
                "d_bid": _d_bid(service, site),
                "workers": workers,
                "queue_limit": QUEUE_LIMIT,
                "speed": 1.0,
            }
            for service in ("render", "conference")
            for site, workers in WORKERS.items()
        ],
        "clients": [{"name": f"client-{site}", "site": site} for site in WORKERS],
        "fidelity": fidelity or {"verdict": "valid", "reasons": []},
        **says,
    }
    (run_dir / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (run_dir / "scenario.yaml").write_text("name: synthetic\n", encoding="utf-8")
    return run_dir


def write_tables(run_dir: Path, rows: Mapping[str, list[Row]], manifest: Mapping[str, object]) -> Path:
    """Write a run of exactly these rows, for figures that can be worked out by hand."""
    run_dir.mkdir(parents=True)
    with RecordWriter(run_dir, "all") as writer:
        for table, items in rows.items():
            for row in items:
                writer.write(table, row)
    finish(run_dir)
    (run_dir / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return run_dir


def finish(run_dir: Path) -> None:
    """Turn the parts into tables; a table nobody wrote to has its header."""
    for name, table in catalogue().items():
        part = run_dir / f"{name}.all.part.csv"
        if part.exists():
            part.rename(run_dir / f"{name}.csv")
        else:
            (run_dir / f"{name}.csv").write_text(",".join(table.names) + "\r\n", encoding="utf-8")


def _choose(policy: str, pools: Mapping[str, _Pool], home: str, now_s: float) -> str:
    if policy == "closest":
        return home
    return min(pools, key=lambda site: pools[site].wait_s(now_s) * 1e3 + 2 * distance_ms(home, site))


def _write_requests(
    writer: RecordWriter,
    rng: random.Random,
    pools: Mapping[str, _Pool],
    policy: str,
    duration_s: float,
    requests_per_s: float,
) -> None:
    now_s, number = START_S, 0
    while (now_s := now_s + rng.expovariate(requests_per_s)) < START_S + duration_s:
        home = rng.choices(list(CLIENT_SHARE), list(CLIENT_SHARE.values()))[0]
        work_ms = rng.expovariate(1 / 80)
        jitter_ms = rng.uniform(0.1, 0.6)
        site = _choose(policy, pools, home, now_s)
        source = {"src": f"10.{list(WORKERS).index(home) + 1}.0.20", "src_port": 32768 + number}
        rtt_s = 2e-3 * distance_ms(home, site) + jitter_ms * 1e-3
        arrived_s = now_s + 1.5 * rtt_s
        done_s = pools[site].take(arrived_s, work_ms * 1e-3)
        finished_s = (done_s or arrived_s) + rtt_s / 2
        instance = f"render-1@{site}"
        writer.write(
            "flows",
            {
                "flow_id": f"jobs/client-{home}/{number}",
                "workload": "jobs",
                "kind": "http",
                "service": "render",
                "client": f"client-{home}",
                "ingress": home,
                "instance": instance,
                "site": site,
                "proto": "tcp",
                **source,
                "d_sid": "203.0.113.10",
                "dst_port": 80,
                "due_s": now_s,
                "started_s": now_s,
                "connected_s": now_s + rtt_s,
                "finished_s": finished_s,
                "completion_ms": (finished_s - now_s) * 1e3,
                "bytes_sent": 200,
                "bytes_received": 2100 if done_s else 120,
                "work_ms": work_ms,
                "outcome": "ok" if done_s else "refused",
            },
        )
        times = {"first_s": now_s + rtt_s, "last_s": arrived_s, "packets": 6, "bytes": 200}
        writer.write(
            "affinity",
            {
                "instance": instance,
                "service": "render",
                "proto": "tcp",
                **source,
                "dst": f"10.{number % 9}.0.9",
                "dst_port": 80,
            }
            | times,
        )
        _write_decision(writer, now_s, home, "render", policy, "tcp", source, site)
        number += 1


def _write_calls(
    writer: RecordWriter,
    rng: random.Random,
    pools: Mapping[str, _Pool],
    policy: str,
    duration_s: float,
    calls: int,
) -> None:
    for number in range(calls):
        home = rng.choices(list(CLIENT_SHARE), list(CLIENT_SHARE.values()))[0]
        began_s = START_S + rng.uniform(0, duration_s - 12)
        length_s = rng.uniform(4, 11)
        site = (
            home
            if policy == "closest"
            else min(WORKERS, key=lambda name: (20 + distance_ms(home, name)) / WORKERS[name])
        )
        crowding = sum(began_s <= start_s < began_s + length_s for _, start_s, _ in pools[site].jobs_s) / length_s
        load = min(crowding * 0.08 / WORKERS[site], 1.5)
        sent = int(length_s * PACKETS_PER_S)
        lost = sum(rng.random() < 0.001 + 0.03 * max(0.0, load - 0.8) for _ in range(sent))
        source = {"src": f"10.{list(WORKERS).index(home) + 1}.0.20", "src_port": 50000 + number}
        instance, flow_id = f"conference-1@{site}", f"calls/client-{home}/{number}"
        writer.write(
            "flows",
            {
                "flow_id": flow_id,
                "workload": "calls",
                "kind": "rtp_audio",
                "service": "conference",
                "client": f"client-{home}",
                "ingress": home,
                "proto": "udp",
                **source,
                "d_sid": "203.0.113.11",
                "dst_port": 5004,
                "due_s": began_s,
                "started_s": began_s,
                "finished_s": began_s + length_s,
                "packets_sent": sent,
                "packets_received": sent - lost,
                "requested_rate_pps": float(PACKETS_PER_S),
                "achieved_rate_pps": PACKETS_PER_S * rng.uniform(0.998, 1.0),
                "outcome": "ok",
            },
        )
        one_way_ms = distance_ms(home, site) + rng.uniform(0.1, 0.4)
        for direction, receiver, ways, lost_here in (
            ("up", instance, 1, lost // 2),
            ("echo", f"client-{home}", 2, lost),
        ):
            jitter_ms = rng.gammavariate(4, 0.03) * ways + 1.5 * load**2
            writer.write(
                "rtp",
                {
                    "flow_id": flow_id if direction == "echo" else "",
                    "receiver": receiver,
                    "direction": direction,
                    **source,
                    "ssrc": 4_000_000_000 + number,
                    "payload_type": 0,
                    "first_s": began_s + ways * one_way_ms * 1e-3,
                    "last_s": began_s + length_s,
                    "packets_expected": sent,
                    "packets_received": sent - lost_here,
                    "packets_lost": lost_here,
                    "loss_fraction": lost_here / sent,
                    "duplicates": 0,
                    "reordered": 0,
                    "jitter_ms": jitter_ms,
                    "delay_mean_ms": ways * one_way_ms + jitter_ms,
                    "delay_p95_ms": ways * one_way_ms + 3 * jitter_ms,
                    "delay_max_ms": ways * one_way_ms + 9 * jitter_ms,
                },
            )
        writer.write(
            "affinity",
            {
                "instance": instance,
                "service": "conference",
                "proto": "udp",
                **source,
                "dst": "10.9.0.9",
                "dst_port": 5004,
            }
            | {
                "first_s": began_s + one_way_ms * 1e-3,
                "last_s": began_s + length_s,
                "packets": sent,
                "bytes": 172 * sent,
            },
        )
        _write_decision(writer, began_s, home, "conference", policy, "udp", source, site)


def _write_decision(
    writer: RecordWriter, now_s: float, home: str, service: str, policy: str, proto: str, source: Row, site: str
) -> None:
    writer.write(
        "decisions",
        {
            "time_s": now_s,
            "d_router": home,
            "service": service,
            "policy": policy,
            "proto": proto,
            **source,
            "d_sid": "203.0.113.10",
            "dst_port": 80,
            "d_bid": _d_bid(service, site),
            "egress": site,
            "metrics_age_s": now_s % 1.0,
            "candidates": json.dumps([{"site": name, "rtt_ms": 2 * distance_ms(home, name)} for name in WORKERS]),
        },
    )


def _write_load(writer: RecordWriter, pools: Mapping[str, _Pool], duration_s: float) -> None:
    for step in range(1, int((duration_s + 2) / SAMPLE_INTERVAL_S) + 1):
        until_s = START_S + step * SAMPLE_INTERVAL_S
        for site, pool in pools.items():
            busy_s = sum(
                max(0.0, min(end_s, until_s) - max(start_s, until_s - 1.0)) for _, start_s, end_s in pool.jobs_s
            )
            waiting = sum(arrived_s <= until_s < start_s for arrived_s, start_s, _ in pool.jobs_s)
            in_service = sum(start_s <= until_s < end_s for _, start_s, end_s in pool.jobs_s)
            common = {"time_s": until_s, "site": site, "workers": pool.workers, "cpu_s": 0.01 * step}
            counts = {
                "completed": sum(end_s <= until_s for *_, end_s in pool.jobs_s),
                "refused": sum(refused_s <= until_s for refused_s in pool.refused_s),
            }
            load: Row = {"busy_workers": in_service, "queue_length": waiting, "sessions": in_service + waiting}
            utilisation = min(1.0, busy_s / pool.workers)
            names: Row = {"instance": f"render-1@{site}", "service": "render"}
            writer.write("instances", common | names | load | counts | {"utilisation": utilisation})
            names = {"instance": f"conference-1@{site}", "service": "conference"}
            idle: Row = {"busy_workers": 0, "queue_length": 0, "sessions": 1, "utilisation": 0.02}
            writer.write("instances", common | names | idle | {"completed": 50 * step, "refused": 0})


def _write_signalling(writer: RecordWriter, rng: random.Random, duration_s: float) -> None:
    for second in range(int(duration_s) + 1):
        for node in WORKERS:
            now_s = START_S + second + rng.uniform(0, 0.01)
            for peer in WORKERS:
                if peer != node:
                    counts = {"messages": second, "bytes": 120 * second}
                    for direction, kind in (("sent", "report"), ("received", "any")):
                        row = {"time_s": now_s, "node": node, "direction": direction, "peer": peer, "kind": kind}
                        writer.write("control", row | counts)
            age_s = rng.uniform(0.005, 0.05)
            writer.write(
                "metrics",
                {
                    "time_s": now_s,
                    "node": node,
                    "event": "received",
                    "source": node,
                    "sequence": second,
                    "age_s": age_s,
                },
            )
