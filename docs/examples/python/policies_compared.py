"""A policy of one's own against built-in ones, in virtual time. One seed shows how it is done, and is no result.

D-Routers and queues are the testbed's own, the network is a model.
"""

from testbed.dyncast.policies import POLICIES, Candidate, LeastCost
from testbed.simulation.network import FOUR_SITES
from testbed.simulation.steered_queues import SteeredQueues


class NearestWithRoom(LeastCost):
    """The nearest instance that should have a free worker; if none has one, the one with the shortest queue."""

    def cost(self, item: Candidate) -> float:
        """Return the round trip, or more than any round trip where the flow would have to wait."""
        if item.metrics is None:
            return item.rtt_s
        waiting = item.expected_sessions + 1 - item.metrics.workers
        return item.rtt_s if waiting <= 0 else 1.0 + waiting / item.metrics.workers


POLICIES["nearest_with_room"] = NearestWithRoom

print(f"{sum(FOUR_SITES.workers.values())} workers at four sites, {FOUR_SITES.load:.0%} load, metrics each second")
for name in ("closest", "least_loaded", "nearest_with_room", "dyncast"):
    queues = SteeredQueues(FOUR_SITES, name, interval_s=1.0, seed=1)
    queues.run(until_s=40.0)
    served = [request for request in queues.served if not request.is_refused]
    mean_ms = sum(request.took_s for request in served) / len(served) * 1e3
    refused = 1 - len(served) / len(queues.served)
    print(f"{name:18} {mean_ms:5.0f} ms mean completion, {refused:4.0%} refused")
