"""What Dyncast adds to the analysis of a run: its decisions evaluated, its state counted, its share of the report.

For Python users: `evaluate` a run (docs/dyncast/evaluation.md).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.analysis.dyncast.decisions.evaluation import evaluate as evaluate


def __getattr__(name: str) -> Any:
    if name != "evaluate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from testbed.analysis.dyncast.decisions import evaluation  # pandas is heavy

    return evaluation.evaluate
