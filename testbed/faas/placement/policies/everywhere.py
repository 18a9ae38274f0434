"""At all clusters that can hold the function: no answer waits for a delivery but the first, at the cost of them all."""

from __future__ import annotations

from testbed.faas.placement.policies.base import TimedPolicy


class Everywhere(TimedPolicy):
    """A copy at each cluster; users go where path + wait + run are predicted to be the least."""

    is_everywhere = True
    each = ("path_ms", "wait_ms", "run_ms")
    once = ()
