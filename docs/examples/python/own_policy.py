"""A policy of one's own, beside two that are built in: where do the next 60 flows of an ingress go?"""

from collections import Counter
from ipaddress import ip_address
from random import Random

from testbed.dyncast.actions import InstallAffinity
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer
from testbed.dyncast.policies import POLICIES, Candidate, LeastCost
from testbed.net.flow_key import TCP, FlowKey

D_SID, EAST, WEST = map(ip_address, ("203.0.113.10", "10.1.0.20", "10.2.0.20"))


class MostFree(LeastCost):
    """The instance with the most free workers by its last report, as long as its path is short enough."""

    def __init__(self, longest_path_ms: float = 50.0) -> None:
        self.longest_path_ms = longest_path_ms

    def cost(self, item: Candidate) -> float:
        """Return the less, the better: the free workers, negative."""
        if item.metrics is None or item.path_cost_ms > self.longest_path_ms:
            return 0.0
        return item.metrics.busy_workers - item.metrics.workers


POLICIES["most_free"] = MostFree


def shared_out(policy: str, **parameters: float | str) -> Counter[str]:
    """Let a D-Router in the east bind 60 flows, knowing a small instance here and a large one 20 ms away."""
    config = DRouterConfig(
        "east",
        (Service("render", (D_SID,), policy=policy),),
        (Peer("west", ip_address("10.2.0.1"), path_cost_ms=20.0),),
        policy_parameters={policy: parameters},
    )
    router = DRouter(config, Random(1))
    for site, d_bid, workers in (("east", EAST, 2), ("west", WEST, 8)):
        raw = RawMetrics(workers, 1, queue_limit=20, sessions=1, utilisation=1 / workers, service_time_s=0.1)
        report = Report(site, 1, 0.0, (report_of(D_SID, d_bid, State.UP, raw),))
        router.on_message(codec.encode(report), d_bid, 0.0)
    found: Counter[str] = Counter()
    for port in range(40000, 40060):
        actions = router.on_packet(FlowKey(ip_address("10.1.0.10"), D_SID, TCP, port, 80), 0.1)
        found += Counter(action.entry.egress for action in actions if isinstance(action, InstallAffinity))
    return found


for name in ("closest", "dyncast", "most_free"):
    print(f"{name:10} {dict(sorted(shared_out(name).items()))}")
print(f"most_free with paths up to 10 ms: {dict(shared_out('most_free', longest_path_ms=10))}")
