"""Tables that people read: which columns of a frame they see, under which headings, how rounded.

One catalogue for the terminal and the page. Owns headings, units and how values are written. Computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

ABSENT = "-"
THREE_DIGITS = "3"  # a format of our own, for a column of all sorts of figures: at least three digits, no more decimals

# Column of a frame → heading and format; without a format it is text.
Columns = Mapping[str, tuple[str, str]]


class TitledFrame(NamedTuple):
    """A frame, and what is to be seen of it."""

    title: str
    frame: pd.DataFrame
    columns: Columns


def written(value: object, form: str) -> str:
    """Write one value by a format; `d` takes whole numbers that came as floats."""
    if pd.isna(value):
        return ABSENT
    if not form:
        return str(value)
    if form == THREE_DIGITS:
        form = ",.0f" if abs(float(value)) >= 100 else ",.3g"  # type: ignore[arg-type]
    return format(int(value) if form.endswith("d") else value, form)  # type: ignore[call-overload]


def without(columns: Columns, *names: str) -> Columns:
    """Return the columns but these, for where there is less room."""
    return {name: column for name, column in columns.items() if name not in names}


SERVICES: Columns = {
    "service": ("service", ""),
    "kind": ("kind", ""),
    "offered": ("offered", ",d"),
    "ok": ("ok", ",d"),
    "refused": ("refused", ",d"),
    "timeout": ("timed out", ",d"),
    "interrupted": ("interrupted", ",d"),
    "failed": ("failed", ",d"),
    "completion_mean_ms": ("completion, mean (ms)", ",.1f"),
    "completion_p50_ms": ("p50 (ms)", ",.1f"),
    "completion_p95_ms": ("p95 (ms)", ",.1f"),
    "completion_p99_ms": ("p99 (ms)", ",.1f"),
    "connect_mean_ms": ("connect, mean (ms)", ",.2f"),
}
PROCESS_GAPS: Columns = {
    "process": ("process", ""),
    "gap_ms": ("longest gap (ms)", ",.0f"),
}
SITES: Columns = {
    "site": ("site", ""),
    "instances": ("instances", ",d"),
    "flows": ("flows", ",d"),
    "share": ("share of all", ".1%"),
    "utilisation": ("utilisation", ".1%"),
    "refused": ("refused", ",d"),
}
INSTANCES: Columns = {
    "instance": ("instance", ""),
    "service": ("service", ""),
    "site": ("site", ""),
    "workers": ("workers", ",.0f"),
    "flows": ("flows", ",d"),
    "share": ("share of service", ".1%"),
    "utilisation": ("utilisation", ".1%"),
    "queue_mean": ("queue, mean", ",.1f"),
    "queue_max": ("queue, max", ",.0f"),
    "refused": ("refused", ",d"),
}
LINKS: Columns = {
    "direction": ("link", ""),
    "delay_ms": ("delay (ms)", ",.3g"),
    "rate_mbps": ("rate (Mbit/s)", ",.4g"),
    "packets": ("packets", ",d"),
    "mbps": ("carried (Mbit/s)", ",.3f"),
    "used": ("of its rate", ".1%"),
    "lost_random": ("lost at random", ",d"),
    "lost_queue": ("lost in the queue", ",d"),
    "lost_overload": ("lost for want of time", ",d"),
    "lateness_p99_ms": ("late, p99 (ms)", ",.2f"),
}
RTP: Columns = {
    "service": ("service", ""),
    "way": ("way", ""),
    "streams": ("streams", ",d"),
    "silent": ("silent", ",d"),
    "packets": ("packets", ",d"),
    "loss_percent": ("loss (%)", ".3f"),
    "jitter_mean_ms": ("jitter, mean (ms)", ".3f"),
    "jitter_p95_ms": ("jitter, p95 (ms)", ".3f"),
    "delay_mean_ms": ("delay, mean (ms)", ".2f"),
    "delay_p95_ms": ("delay, p95 (ms)", ".2f"),
}
OPINION: Columns = {
    "service": ("service", ""),
    "way": ("way", ""),
    "streams": ("G.711 streams", ",d"),
    "mos_mean": ("MOS, mean", ".2f"),
    "mos_p5": ("MOS, p5", ".2f"),
    "mouth_to_ear_mean_ms": ("mouth to ear, mean (ms)", ",.1f"),
    "dissatisfied_percent": ("below R 70 (%)", ".1f"),
}
COMMANDS: Columns = {
    "workload": ("workload", ""),
    "client": ("client", ""),
    "argv": ("command", ""),
    "outcome": ("outcome", ""),
    "exit_code": ("exit code", ",d"),
    "figures": ("what it said", ""),
    "last_words": ("last words", ""),
}
CALLS: Columns = {
    "service": ("service", ""),
    "calls": ("calls", ",d"),
    "calls_lost": ("lost", ",d"),
    "calls_split": ("split over instances", ",d"),
    "split_percent": ("split (%)", ".1f"),
}
FAULTS: Columns = {
    "number": ("number", ",d"),
    "fault": ("fault", ""),
    "target": ("target", ""),
    "begin_s": ("from (s)", ",.2f"),
    "end_s": ("to (s)", ",.2f"),
    "time_to_detect_s": ("until detected (s)", ",.3f"),
    "time_to_tell_all_s": ("until all were informed (s)", ",.3f"),
    "time_to_steer_away_s": ("until steered away (s)", ",.3f"),
    "flows_broken": ("flows broken", ",d"),
}
SIGNALLING: Columns = {
    "kind": ("kind", ""),
    "nodes": ("senders", ",d"),
    "messages": ("messages", ",d"),
    "bytes": ("bytes", ",d"),
    "bytes_per_s": ("bytes/s", ",.1f"),
}
VIOLATIONS: Columns = {
    "service": ("service", ""),
    "src": ("source", ""),
    "src_port": ("source port", "d"),
    "instances": ("instances, in order", ""),
    "first_s": ("first packet (s)", ".3f"),
}
