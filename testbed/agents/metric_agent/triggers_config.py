"""Keys for when a metric agent reports, and how it scores (docs/processes.md, "Metric agent"). Pure.

The types are those of the pure core, which refuse what makes no sense; here are their keys.
"""

from __future__ import annotations

from typing import Annotated

from testbed.dyncast.metric_agent.conditions import Band, Threshold
from testbed.dyncast.metric_agent.dampening import Dampening
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.metrics.normalisation import AGGREGATIONS, MinMax, Normalisation, Sigmoid
from testbed.net.token_bucket import Rate
from testbed.runtime.document import Merged, Section, Tagged
from testbed.runtime.forms import Integer, Listed, Mapped, Nullable, Number, OneOf

_POSITIVE = Number(is_positive=True)
_THRESHOLD = Section(Threshold, absolute=Nullable(_POSITIVE), relative=Nullable(_POSITIVE), hysteresis_share=Number(0))
_BAND = Section(Band, hysteresis_points=Integer(0))
_DAMPENING = Section(Dampening, half_life_s=_POSITIVE, suppress=_POSITIVE, reuse=_POSITIVE, max_suppress_s=_POSITIVE)
_TRIGGERS = Section(
    Reporting,
    refresh_s=_POSITIVE,
    trigger=Merged(Tagged("when", {"interval": None, "threshold": _THRESHOLD, "band": _BAND})),
    budget=Nullable(Section(Rate, per_s=_POSITIVE, burst=Integer(1))),
    dampening=Nullable(_DAMPENING),
)
_FIGURES = Listed(
    Tagged("function", {"min_max": Section(MinMax, weight=_POSITIVE), "sigmoid": Section(Sigmoid, weight=_POSITIVE)})
)
_NORMALISATION = Section(
    Normalisation,
    computing=_FIGURES,
    communication=_FIGURES,
    service=_FIGURES,
    l1_aggregation=OneOf(tuple(AGGREGATIONS)),
    l2_aggregation=OneOf(tuple(AGGREGATIONS)),
    weights=Mapped(_POSITIVE),
)

Triggers = Annotated[Reporting, _TRIGGERS]
Scoring = Annotated[Normalisation, _NORMALISATION]
