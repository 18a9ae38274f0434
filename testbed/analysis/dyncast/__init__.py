"""What Dyncast adds to the analysis of a run: its decisions judged, its state counted, its share of the report.

For Python users: `judge` a run (docs/dyncast/judging.md).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.analysis.dyncast.decisions.evaluation import judge as judge


def __getattr__(name: str) -> Any:
    if name != "judge":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from testbed.analysis.dyncast.decisions import evaluation  # pandas is heavy

    return evaluation.judge
