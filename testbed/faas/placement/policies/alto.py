"""The least predicted time of an answer, network and cluster together, from all that ALTO says of both."""

from __future__ import annotations

from testbed.faas.placement.policies.base import TimedPolicy


class Alto(TimedPolicy):
    """path + wait + run, and the delivery and the start shared by the requests of the horizon."""

    each = ("path_ms", "wait_ms", "run_ms")
    once = ("delivery_ms", "start_ms")
