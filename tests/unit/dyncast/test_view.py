"""What reaches a policy of what a metric agent told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from testbed.dyncast import policies
from testbed.dyncast.metrics.levels import RawMetrics, Scores
from testbed.dyncast.policies import Candidate, Policy
from testbed.net.addresses import Address
from tests.dyncast_samples import HERE, NEAR, d_router, flow, report_bytes, service, told

_RAW = RawMetrics(
    4, queue_length=25, queue_limit=50, utilisation=0.5, cpu_utilisation=0.25, memory_bytes=1 << 24,
    memory_limit_bytes=1 << 33, capacity_per_s=80, throughput_bps=1e6,
)  # fmt: skip


class Watching(Policy):
    """Takes anybody, and remembers whom it could have taken."""

    seen: Sequence[Candidate] = ()

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:
        """All the same."""
        del now_s
        Watching.seen = candidates
        return {item.d_bid: 1.0 for item in candidates}


def test_raw_metrics_and_scores_reach_a_policy_as_they_were_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(policies.POLICIES, "watching", Watching)
    router = d_router(service(policy="watching"))
    router.on_message(report_bytes(HERE, 1, 0.0, told(NEAR, _RAW)), NEAR, 0.0)
    router.on_packet(flow(), 0.1)
    (candidate,) = Watching.seen
    assert candidate.metrics == _RAW
    assert candidate.scores == Scores(computing=5, service=5, overall=5)
