"""Delays that a server says wrongly, on purpose: knowledge as it is in, knowledge as it is served out. Pure.

A wrong delay concerns both directions between two PIDs, one way (`delay-ow`) and there and back (`delay-rt`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from testbed.alto.costs.cost_type import Cost, CostMode
from testbed.alto.maps.cost_map import CostMap
from testbed.alto.network.static_knowledge import NETWORK_MAP
from testbed.alto.reports.measured_costs import DELAY_OW, DELAY_RT
from testbed.alto.service.knowledge import Knowledge

_WAYS = {DELAY_OW: 1, DELAY_RT: 2}
_US_PER_MS = 1000


@dataclass(frozen=True)
class WrongDelay:
    """Between two PIDs: so many times what was measured, or so long one way."""

    a: str
    b: str
    factor: float | None = None
    delay_ms: float | None = None


def with_wrong_delays(known: Knowledge, wrong: Iterable[WrongDelay]) -> Knowledge:
    """Return what a server serves that knows one thing and says another. Metrics that it does not have stay so."""
    for delay in wrong:
        for metric, ways in _WAYS.items():
            costs = known.cost_maps.get((NETWORK_MAP, metric, CostMode.NUMERICAL))
            if costs is not None:
                pairs = ((delay.a, delay.b), (delay.b, delay.a))
                changes = {pair: cost for pair in pairs if (cost := _cost(delay, costs, pair, ways)) is not None}
                known = known.with_costs(NETWORK_MAP, costs.cost_type, changes)
    return known


def _cost(delay: WrongDelay, costs: CostMap, pair: tuple[str, str], ways: int) -> Cost | None:
    if delay.delay_ms is not None:
        return round(delay.delay_ms * _US_PER_MS * ways)
    measured = costs.cost(*pair)
    return None if measured is None or delay.factor is None else round(measured * delay.factor)
