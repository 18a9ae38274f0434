"""What the live page receives, as JSON: the network once, and the state of the run again and again.

Owns the keys, which the page's script reads. Each state is whole, so that whoever misses some has lost nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from testbed.experiment.live.drawing import drawn
from testbed.experiment.live.state import LiveFault, LiveState
from testbed.experiment.plan.plan import Plan
from testbed.experiment.system import policy_of, systems
from topologies import routing

Document = dict[str, Any]


def network(plan: Plan) -> Document:
    """Return the drawing of a plan's network, and what else is fixed for the run."""
    topology, scenario = plan.topology, plan.scenario
    instances = [item for system in systems() for item in system.instances(plan)]
    places = drawn(topology)
    ingresses = dict.fromkeys(client.site for client in plan.clients)
    egresses = dict.fromkeys(item.site for item in instances)
    return {
        "scenario": scenario.name,
        "description": scenario.description,
        "policy": policy_of(scenario),
        "seed": scenario.seed,
        "duration_s": scenario.duration_s,
        "nodes": [{"name": node.name, "role": node.role.name, **asdict(places[node.name])} for node in topology.nodes],
        "links": [{"a": link.a, "b": link.b, "delay_ms": link.spec.delay_ms} for link in topology.links],
        "instances": [
            {"name": item.name, "host": item.host, "site": item.site, "workers": item.workers} for item in instances
        ],
        "clients": [{"name": client.name, "site": client.site} for client in plan.clients],
        "paths": {a: {b: routing.path(topology, a, b) for b in egresses} for a in ingresses},
        "faults": [
            {
                "number": fault.number,
                "kind": fault.kind,
                "target": fault.target,
                "at_s": fault.at_s,
                "until_s": fault.until_s,
                "links": fault.links,
                "instance": fault.instance,
                "site": fault.site,
            }
            for fault in plan.faults
        ],
    }


def state(now: LiveState) -> Document:
    """Return a state."""
    window = now.window
    failed = {outcome: count for outcome, count in now.outcomes.items() if outcome not in ("ok", "interrupted")}
    return {
        "elapsed_s": round(now.elapsed_s, 2),
        "left_s": round(now.left_s, 2),
        "instances": {
            name: {
                "busy": load.busy_workers,
                "workers": load.workers,
                "queue": load.queue_length,
                "sessions": load.sessions,
                "utilisation": round(load.utilisation, 3),
                "completed": load.completed,
                "refused": load.refused,
            }
            for name, load in now.loads.items()
        },
        "silent": sorted(now.silent),
        "flows": [[*pair, round(per_s, 2)] for pair, per_s in sorted(window.flows_per_s.items())],
        "ended_per_s": window.ended_per_s,
        "failed_per_s": window.failed_per_s,
        "p50_ms": _rounded(window.completion.quantile_ms(0.5)),
        "p95_ms": _rounded(window.completion.quantile_ms(0.95)),
        "ended": sum(now.outcomes.values()),
        "failed": failed,
        "history": [
            [at_s, second.ended, second.failed, _rounded(second.mean_ms)] for at_s, second in now.history.items()
        ],
        "faults": [_fault(fault) for fault in now.faults],
        "cpu_share": _rounded(now.cpu_share),
        "late_p99_ms": _rounded(window.lateness.quantile_ms(0.99)),
        "doubts": now.doubts,
    }


def event(kind: str, document: Document) -> bytes:
    """Return a server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(document, separators=(',', ':'))}\n\n".encode()


def _fault(fault: LiveFault) -> Document:
    return {
        "number": fault.planned.number,
        "began_s": _rounded(fault.began_s),
        "ended_s": _rounded(fault.ended_s),
        "remark": fault.remark,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
