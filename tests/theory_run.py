"""A run of docs/examples/theory.yaml in virtual time: queues and links by the testbed's own models, no machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from testbed.emulation.relay.impairment import Impairment, LinkDirection
from testbed.emulation.wiring import link_label
from testbed.experiment.scenario import file as scenario_file
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.queueing.work_queue import WorkQueue
from testbed.rtp.statistics import StreamStatistics
from tests.analysis_data import Row, write_tables
from tests.scenarios import EXAMPLES, dyncast_plan
from topologies import yaml_form

START_S = 1000.0
STAMP_S = 0.0002
_PACKET_S = 0.02


def theory_plan(**overrides: object) -> DyncastPlan:
    source = EXAMPLES / "theory.yaml"
    return dyncast_plan(scenario_file.load(source, overrides), source)


def write(run_dir: Path, *, hidden_speed: float = 1.0, seed: int = 3, manifest: dict[str, Any] | None = None,
          **overrides: object) -> Path:  # fmt: skip
    """Write the run; instances serve `hidden_speed` times as fast as the scenario says."""
    plan = theory_plan(**overrides)
    tables: dict[str, list[Row]] = {"flows": [], "affinity": [], "instances": [], "rtp": []}
    rng = Random(seed)
    for item in plan.instances:
        if plan.scenario.services[item.service].kind == "http":
            _serve(plan, item.name, item.service, hidden_speed, rng, tables)
    links = _call(plan, rng, tables)
    document = {
        "scenario": "theory", "policy": plan.scenario.policy, "start_s": START_S,
        "duration_s": plan.scenario.duration_s, "fidelity": {"verdict": "valid", "reasons": []},
        "instances": [
            {"name": item.name, "host": item.host, "service": item.service, "site": item.site,
             "workers": item.keys.workers, "speed": item.keys.speed}
            for item in plan.instances
        ],
        "links": {"backend": "relay", "links": links}, "switch_lost_packets": 0, "faults": [],
    }  # fmt: skip
    write_tables(run_dir, tables, {**document, **(manifest or {})})
    (run_dir / "scenario.yaml").write_text(scenario_file.dump(plan.scenario), encoding="utf-8")
    (run_dir / "topology.yaml").write_text(yaml_form.dump(plan.topology), encoding="utf-8")
    return run_dir


def manifest_of(run_dir: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run_dir / "manifest.json").read_text())
    return document


def _serve(
    plan: DyncastPlan, name: str, service: str, hidden_speed: float, rng: Random, tables: dict[str, list[Row]]
) -> None:
    keys = next(item.keys for item in plan.instances if item.name == name)
    workload = next(item for item in plan.scenario.workloads if item.service == service)
    (client,) = plan.clients_of(workload)
    assert workload.work is not None and workload.arrivals.rate_per_s is not None
    queue, arrivals, now_s, end_s = WorkQueue(keys.workers, 10_000), [], START_S, START_S + plan.scenario.duration_s
    while (now_s := now_s + rng.expovariate(workload.arrivals.rate_per_s)) < end_s:
        arrivals.append((now_s, rng.expovariate(1e3 / workload.work.mean_ms)))
    samples = [(START_S + 0.5 * number, None) for number in range(int(2 * plan.scenario.duration_s) + 4)]
    for number, (time_s, work_s) in enumerate(sorted([*arrivals, *samples], key=lambda item: item[0])):
        if work_s is None:
            tables["instances"].append(
                {"time_s": time_s, "instance": name, "service": service, "busy_workers": queue.busy_workers(time_s),
                 "queue_length": queue.queue_length(time_s), "utilisation": queue.utilisation(time_s),
                 "completed": queue.completed(time_s), "refused": 0}
            )  # fmt: skip
            continue
        job = queue.offer(time_s, work_s / hidden_speed)
        assert job is not None
        key = {"service": service, "proto": "tcp", "src": f"10.0.0.{len(name)}", "src_port": 1024 + number % 60_000,
               "dst_port": 80}  # fmt: skip
        tables["flows"].append(
            {**key, "flow_id": f"{name}/{number}", "kind": "http", "client": client.name, "instance": name,
             "due_s": time_s - STAMP_S, "started_s": time_s - STAMP_S, "finished_s": job.finish_s + STAMP_S,
             "work_ms": work_s * 1e3, "outcome": "ok"}
        )  # fmt: skip
        tables["affinity"].append({**key, "instance": name, "first_s": time_s, "last_s": time_s})


def _call(plan: DyncastPlan, rng: Random, tables: dict[str, list[Row]]) -> dict[str, Any]:
    """Make the calls of `voice`; return the statistics of the only link on their way that does anything."""
    workload = next(item for item in plan.scenario.workloads if item.name == "calls")
    (client,), (instance,) = plan.clients_of(workload), [i for i in plan.instances if i.service == "voice"]
    (link,) = [item for item in plan.topology.links if client.name in (item.a, item.b)]
    ways = {name: LinkDirection(Impairment(**asdict(link.spec))) for name in ("a_to_b", "b_to_a")}
    there, back = (ways["a_to_b"], ways["b_to_a"]) if link.a == client.name else (ways["b_to_a"], ways["a_to_b"])
    assert workload.arrivals.rate_per_s is not None
    apart_s = 1 / workload.arrivals.rate_per_s
    for number in range(int(plan.scenario.duration_s / apart_s)):
        begin_s, heard, returned = START_S + number * apart_s, StreamStatistics(8000), []
        packets = int(workload.call_duration.mean_ms / 1e3 / _PACKET_S)
        for packet in range(packets):
            sent_s = begin_s + packet * _PACKET_S
            arrived_s = there.arrive(sent_s, 214, rng)
            if isinstance(arrived_s, float):
                heard.receive(packet, packet * 160, arrived_s, sent_s)
                returned.append(back.arrive(arrived_s, 214, rng))
        received = sum(isinstance(item, float) for item in returned)
        key = {"src": "10.3.0.9", "src_port": 20_000 + 2 * number}
        flow_id = f"calls/{number}"
        tables["flows"].append(
            {**key, "flow_id": flow_id, "kind": "rtp_audio", "service": "voice", "client": client.name, "proto": "udp",
             "instance": instance.name, "due_s": begin_s, "started_s": begin_s, "outcome": "ok",
             "packets_sent": packets, "packets_received": received, "dst_port": 5004}
        )  # fmt: skip
        seen = {"instance": instance.name, "service": "voice", "proto": "udp", "dst_port": 5004}
        tables["affinity"].append({**key, **seen, "first_s": begin_s + 0.01, "last_s": begin_s + 1.9})
        tables["rtp"].append(
            {**key, "receiver": instance.name, "direction": "up", "payload_type": 0, **asdict(heard.snapshot())}
        )
    tables["instances"].append({"time_s": START_S + 1, "instance": instance.name, "refused": 0, "utilisation": 0.0,
                                "queue_length": 0})  # fmt: skip
    counted = {
        name: {"packets": way.packets, "dropped_loss": way.dropped_loss, "delivered": way.packets - way.dropped_loss,
               "waiting": 0, "dropped_queue": 0, "dropped_interface": 0, "dropped_overload": 0}
        for name, way in ways.items()
    }  # fmt: skip
    return {link_label(link): counted}
