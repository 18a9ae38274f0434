"""A function, clusters and paths, as whoever places functions knows them."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from testbed.faas.placement import policies
from testbed.faas.placement.function import Demand, Function
from testbed.faas.placement.policies import Policy, Ranked
from testbed.faas.placement.prediction import AnswerTime, answer_time
from testbed.faas.placement.views import ClusterView, PathView

DETECT = Function(
    "detect", "python:3", 256, {"code": 20_000, "opencv": 60_000_000}, start_ms=80.0, init_ms=120.0, run_ms=50.0,
    request_bytes=30_000, answer_bytes=1_000,
)  # fmt: skip
ONCE = Demand(rate_per_s=0.0, horizon_s=60.0)
OFTEN = Demand(rate_per_s=10.0, horizon_s=60.0)
EVERY_POLICY = sorted(policies.POLICIES)


def path(rtt_ms: float = 10.0, mbps: float = 100.0, **more: Any) -> PathView:
    """A path without loss."""
    return PathView(
        **{"delay_ow_ms": rtt_ms / 2, "delay_rt_ms": rtt_ms, "bandwidth_mbps": mbps, "loss_percent": 0.0, **more}
    )


def cluster(name: str, **known: Any) -> ClusterView:
    """A cluster of four slots that does nothing and holds nothing, 10 ms away from everybody."""
    idle: dict[str, Any] = {
        "kinds": frozenset({"python:3"}), "memory_mb": 2048, "free_memory_mb": 2048, "slots": 4, "queue": 100,
        "running": 0, "waiting": 0, "processors": 2.0, "cpu_used": 0.0, "functions": frozenset(),
        "from_user": path(), "from_repository": path(), "known_s": 0.0,
    }  # fmt: skip
    return ClusterView(name, **{**idle, **known})


def holding(view: ClusterView, warm: int = 0) -> ClusterView:
    """The same cluster with the function."""
    return replace(
        view,
        functions=frozenset({DETECT.name}),
        blobs=frozenset(DETECT.blobs),
        warm={DETECT.name: warm} if warm else {},
    )


def policy(name: str) -> Policy:
    """A policy, with the parameters that it must have."""
    return policies.create(name, **({"cluster": "cloud"} if name == "cloud" else {}))


def ranking(name: str, views: list[ClusterView], demand: Demand = ONCE, seed: int = 7) -> tuple[Ranked, ...]:
    """How a policy ranks clusters."""
    return policy(name).ranking(DETECT, views, demand, Random(seed))


def order(name: str, views: list[ClusterView], demand: Demand = ONCE) -> list[str]:
    """The names, the best first."""
    return [item.cluster for item in ranking(name, views, demand)]


def time(view: ClusterView, demand: Demand = ONCE) -> AnswerTime:
    """What is predicted of an answer from a cluster."""
    return answer_time(DETECT, view, demand)
