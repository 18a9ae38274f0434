"""Which clusters may be chosen at all, whatever the policy.

* One that cannot hold the function is none: its memory is too small, it has no slot, or it lacks the runtime. Where
  that is not known it may be chosen; a cluster that cannot will refuse the delivery.
* One that is silent, of which nothing was measured for `silent_after_s`, is none while others are not: it may be lost.
  If all are, then it is the reports that are lost, and the last ones are better than none. A cluster of which nothing
  was ever measured is not silent: its first report may be under way.
"""

from __future__ import annotations

from collections.abc import Iterable

from testbed.faas.placement.function import Function
from testbed.faas.placement.views import ClusterView


def can_hold(function: Function, view: ClusterView) -> bool:
    """Return whether a cluster can hold a function, as far as is known."""
    has_memory = view.memory_mb is None or view.memory_mb >= function.memory_mb
    has_runtime = view.kinds is None or function.kind in view.kinds
    return has_memory and has_runtime and view.slots != 0


def is_silent(view: ClusterView, now_s: float, silent_after_s: float) -> bool:
    """Return whether the last that is known of a cluster is too old."""
    return view.known_s is not None and now_s - view.known_s > silent_after_s


def candidates(
    function: Function, views: Iterable[ClusterView], now_s: float, silent_after_s: float
) -> list[ClusterView]:
    """Return the clusters that may be chosen for a function, in the order of their names."""
    able = sorted((view for view in views if can_hold(function, view)), key=lambda view: view.name)
    fresh = [view for view in able if not is_silent(view, now_s, silent_after_s)]
    return fresh or able
