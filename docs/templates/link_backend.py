"""Links whose rate the kernel limits by a token bucket (`tbf`): no delay, no loss.

Owns its tc commands. Links that want more are refused, for a link that is not as configured makes wrong results.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testbed.emulation.links.backend import LinkContext, LinkEnd, LinkError, LinkRequest
from testbed.emulation.links.netem_link import run_tc
from testbed.emulation.links.veth import create_pairs, delete_pairs
from topologies.spec import LinkSpec

_BURST_BYTES = 15_140  # ten packets
_FRAME_BYTES = 1514


class TokenBucketLinks:
    """Veth pairs with a token bucket on each end."""

    name = "tbf"

    def __init__(self, context: LinkContext) -> None:
        del context  # the kernel needs neither folder, seed nor process
        self._requests: tuple[LinkRequest, ...] = ()
        self._final: dict[str, Any] | None = None

    def create(self, requests: Sequence[LinkRequest]) -> None:
        """Make the pairs and limit both directions of each."""
        for request in requests:
            if request.spec.delay_ms or request.spec.jitter_ms or request.spec.loss_percent:
                raise LinkError(f"link {request.label!r}: tbf limits the rate alone; take netem or relay")
        self._requests = tuple(requests)
        create_pairs(requests)
        for request in requests:
            for end in (request.a, request.b):
                self._limit(end, request)

    def statistics(self) -> dict[str, Any]:
        """Return that nothing is counted beside the interfaces."""
        return self._final or {"backend": self.name, "links": {request.label: {} for request in self._requests}}

    def change(self, request: LinkRequest, spec: LinkSpec) -> None:
        """Refuse: what a bucket limits, it limits for the whole run."""
        del spec
        raise LinkError(f"link {request.label!r}: tbf does not change a link that stands; take netem or relay")

    def pulse(self) -> None:
        """Return nothing: the kernel carries packets."""

    def forget_lateness(self) -> None:
        """Do nothing: it is not known."""

    def queue(self, label: str, *, of_a: bool) -> None:
        """Return nothing: it is with the interface."""

    def close(self) -> None:
        """Remove the pairs that end in the root namespace; the others go with their namespaces."""
        self._final = self.statistics()
        delete_pairs(self._requests)
        self._requests = ()

    def _limit(self, end: LinkEnd, request: LinkRequest) -> None:
        if request.spec.rate_mbps is not None:
            rate = f"{round(request.spec.rate_mbps * 1e6)}bit"
            queue_bytes = str(_BURST_BYTES + request.spec.queue_packets * _FRAME_BYTES)
            words = ["rate", rate, "burst", str(_BURST_BYTES), "limit", queue_bytes]
            run_tc(end.netns_pid, ["qdisc", "replace", "dev", end.interface, "root", "tbf", *words])
