"""The least predicted time within the cluster, wherever it is: what a scheduler does that knows no network."""

from __future__ import annotations

from testbed.faas.placement.policies.base import TimedPolicy


class LoadOnly(TimedPolicy):
    """wait + run, and the start shared by the requests of the horizon; blind to paths."""

    each = ("wait_ms", "run_ms")
    once = ("start_ms",)
