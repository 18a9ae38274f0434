"""The least predicted time on the network: what ALTO's cost maps say, without the resources of clusters."""

from __future__ import annotations

from testbed.faas.placement.policies.base import TimedPolicy


class AltoNetwork(TimedPolicy):
    """path, and the delivery shared by the requests of the horizon; blind to load, slots and containers."""

    each = ("path_ms",)
    once = ("delivery_ms",)
