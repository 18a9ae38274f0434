"""Dyncast's tables that people read: which columns they see, under which headings, how rounded."""

from __future__ import annotations

from testbed.analysis.measures.columns import THREE_DIGITS, Columns

REGRET: Columns = {
    "service": ("service", ""),
    "decisions": ("decisions", ",d"),
    "best_percent": ("best within 1 ms (%)", ".1f"),
    "regret_mean_ms": ("regret, mean (ms)", ",.2f"),
    "regret_p50_ms": ("p50 (ms)", ",.2f"),
    "regret_p95_ms": ("p95 (ms)", ",.2f"),
    "regret_p99_ms": ("p99 (ms)", ",.2f"),
}
STABILITY: Columns = {
    "service": ("service", ""),
    "imbalance_mean": ("imbalance, mean", ".3f"),
    "dispersion": ("dispersion of arrivals", ".2f"),
    "swing": ("swing of load", ".3f"),
}
DECISIONS: Columns = {
    "d_router": ("D-Router", ""),
    "decisions": ("decisions", ",d"),
    "metrics_age_mean_s": ("metrics' age, mean (s)", ".3f"),
}
COSTS: Columns = {"what": ("what", ""), "value": ("value", THREE_DIGITS), "unit": ("unit", "")}
