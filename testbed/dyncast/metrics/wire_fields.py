"""The metrics of one binding as octets, in the fields of the CATS metric definition ("CATS Metric Fields").

Owns which metrics there are, their types, units and formats; knows nothing of the messages around them. A metric is

    type (8)
    level (2) | format (1): 0 unsigned integer, 1 float | length (3): 2^n octets | format_std (2): 0 none, 1 IEEE 754
    source (3) | statistics (3) | spare (2)
    unit (8)
    value

Integers take the fewest of 1, 2, 4, 8 octets that hold them. Metrics of unknown type are skipped by their length, never
fatal.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

from testbed.dyncast.metrics.levels import BEST_SCORE, RawMetrics, Scores

_FIELDS_OCTETS = 4
_IEEE_754 = 1
_LARGEST_INTEGER = 2**64 - 1
_LARGEST_FLOAT = 3.4028234663852886e38  # of 4 octets
_FLOAT_EXPONENT = 2
_MOST_LAYOUTS = 256
# Values by the exponent of their length.
_INTEGERS = {0: struct.Struct("!B"), 1: struct.Struct("!H"), 2: struct.Struct("!I"), 3: struct.Struct("!Q")}
_DOUBLE = struct.Struct("!d")
_FLOATS = {_FLOAT_EXPONENT: struct.Struct("!f"), 3: _DOUBLE}


class Source(IntEnum):
    """Where a value comes from."""

    DIRECT = 0
    NOMINAL = 1
    ESTIMATION = 2
    NORMALIZATION = 3


class Statistics(IntEnum):
    """What a value is of the data collected."""

    UNSTATED = 0
    MEAN = 3
    CURRENT = 4


class Unit(IntEnum):
    """What a value counts; `NONE` for counts, shares and scores."""

    NONE = 0
    BYTE = 1
    BIT_PER_S = 2
    SECOND = 3
    PER_SECOND = 4


@dataclass(frozen=True)
class Metric:
    """One type of metric: everything but its value.

    `attribute` is its name in `RawMetrics` or `Scores`. An optional one is left out when its value says "unknown".
    """

    kind: int
    attribute: str
    level: int
    is_float: bool
    source: Source
    statistics: Statistics
    unit: Unit = Unit.NONE
    is_optional: bool = False

    @property
    def values(self) -> Mapping[int, struct.Struct]:
        """How values are written, by the exponent of their length."""
        return _FLOATS if self.is_float else _INTEGERS

    def fields(self, exponent: int) -> bytes:
        """Return the octets before a value of 2^exponent octets."""
        shape = self.level << 6 | self.is_float << 5 | exponent << 2 | _IEEE_754 * self.is_float
        return bytes((self.kind, shape, self.source << 5 | self.statistics << 2, self.unit))


_RAW = (
    Metric(1, "workers", 0, False, Source.NOMINAL, Statistics.CURRENT),
    Metric(2, "busy_workers", 0, False, Source.DIRECT, Statistics.CURRENT),
    Metric(3, "queue_length", 0, False, Source.DIRECT, Statistics.CURRENT),
    Metric(4, "queue_limit", 0, False, Source.NOMINAL, Statistics.CURRENT),
    Metric(5, "sessions", 0, False, Source.DIRECT, Statistics.CURRENT),
    Metric(8, "sessions_started", 0, False, Source.DIRECT, Statistics.CURRENT),
    Metric(6, "utilisation", 0, True, Source.DIRECT, Statistics.MEAN),
    Metric(7, "service_time_s", 0, True, Source.DIRECT, Statistics.MEAN, Unit.SECOND),
    Metric(9, "cpu_utilisation", 0, True, Source.DIRECT, Statistics.MEAN, is_optional=True),
    Metric(10, "memory_bytes", 0, False, Source.DIRECT, Statistics.CURRENT, Unit.BYTE, is_optional=True),
    Metric(11, "memory_limit_bytes", 0, False, Source.NOMINAL, Statistics.CURRENT, Unit.BYTE, is_optional=True),
    Metric(12, "capacity_per_s", 0, True, Source.ESTIMATION, Statistics.MEAN, Unit.PER_SECOND, is_optional=True),
    Metric(13, "throughput_bps", 0, True, Source.DIRECT, Statistics.MEAN, Unit.BIT_PER_S, is_optional=True),
)
_SCORES = (
    Metric(16, "computing", 1, False, Source.NORMALIZATION, Statistics.UNSTATED),  # compute_norm
    Metric(17, "service", 1, False, Source.NORMALIZATION, Statistics.UNSTATED),  # service_norm
    Metric(18, "communication", 1, False, Source.NORMALIZATION, Statistics.UNSTATED),  # communication_norm
    Metric(32, "overall", 2, False, Source.NORMALIZATION, Statistics.UNSTATED),  # norm_fi
)
METRICS = _RAW + _SCORES
# What moves with each session, and what only with the instance itself; without `workers` there are no raw figures.
_IN_BOTH = {"workers"}
_VOLATILE = {"busy_workers", "queue_length", "sessions", "sessions_started", "utilisation", "cpu_utilisation",
             "memory_bytes", "throughput_bps"}  # fmt: skip
VOLATILE = tuple(metric for metric in _RAW if metric.attribute in _VOLATILE | _IN_BOTH)
SLOW = tuple(metric for metric in METRICS if metric.attribute not in _VOLATILE)
_KINDS = {metric.kind: metric for metric in METRICS}
_LEVEL_OF_RAW = 0
# Made once, for each binding of each report needs them: the fields of each metric and length, and what they say.
_WRITTEN = {(metric.kind, exponent): metric.fields(exponent) for metric in METRICS for exponent in metric.values}
_READ = {
    (written[0], written[1], written[3]): (_KINDS[kind], _KINDS[kind].values[exponent])
    for (kind, exponent), written in _WRITTEN.items()
}


def encode(raw: RawMetrics | None, scores: Scores, metrics: Iterable[Metric] = METRICS) -> bytes:
    """Return the number of metrics (one octet) and the metrics; none without raw figures.

    A value too large for its field goes as the largest that fits.
    """
    if raw is None:
        return b"\0"
    fields: list[bytes] = []
    for metric in metrics:
        value = getattr(raw if metric.level == _LEVEL_OF_RAW else scores, metric.attribute)
        if value is None or (metric.is_optional and not value):
            continue
        if metric.is_float:
            exponent, value = _FLOAT_EXPONENT, min(value, _LARGEST_FLOAT)
        else:
            value = min(int(value), _LARGEST_INTEGER)
            exponent = 0 if value < 1 << 8 else 1 if value < 1 << 16 else 2 if value < 1 << 32 else 3
        fields.append(_WRITTEN[metric.kind, exponent] + metric.values[exponent].pack(value))
    return bytes((len(fields),)) + b"".join(fields)


def with_volatile(slow: RawMetrics, volatile: RawMetrics) -> RawMetrics:
    """Return the raw figures of an instance from those of both paces."""
    return replace(slow, **{name: getattr(volatile, name) for name in _VOLATILE})


def decode(data: memoryview, position: int) -> tuple[RawMetrics | None, Scores, int]:
    """Return what `encode` wrote at `position`, and where it ends. Raises ValueError or IndexError."""
    key = (data[position], len(data) - position)
    layout = _layouts.get(key)
    if layout is not None:
        values = layout.form.unpack_from(data, position)
        if values[1::2] == layout.fields:
            figures, raws = values[2::2], len(layout.raw)
            raw = dict(zip(layout.raw, figures[:raws], strict=True))
            scores = dict(zip(layout.scores, figures[raws:], strict=True))
            return *_figures(raw, scores), position + layout.form.size
    raw, scores, end = _one_by_one(data, position)
    found = _figures(raw, scores)
    _remember(key, data, position)
    return *found, end


def _one_by_one(data: memoryview, position: int) -> tuple[dict[str, float], dict[str, int], int]:
    count = data[position]
    position += 1
    raw: dict[str, float] = {}
    scores: dict[str, int] = {}
    for _ in range(count):
        kind, shape, unit = data[position], data[position + 1], data[position + 3]
        start = position + _FIELDS_OCTETS
        position = start + (1 << (shape >> 2 & 0b111))
        if len(data) < position:
            raise ValueError("cut short in a metric")
        known = _READ.get((kind, shape, unit))
        if known is None:
            if kind in _KINDS:
                raise ValueError(f"metric {_KINDS[kind].attribute} in an unusable format")
            continue
        metric, value = known
        of_level = raw if metric.level == _LEVEL_OF_RAW else scores
        (of_level[metric.attribute],) = figure = value.unpack_from(data, start)
        if value is _DOUBLE and not 0 <= figure[0] <= _LARGEST_FLOAT:
            raise ValueError(f"{metric.attribute} is {figure[0]:g}, which no 4 octets hold")
    return raw, scores, position


def _figures(raw: dict[str, float], scores: dict[str, int]) -> tuple[RawMetrics | None, Scores]:
    if raw and "workers" not in raw:
        raise ValueError("metrics without the number of workers")
    if scores and max(scores.values()) > BEST_SCORE:
        raise ValueError(f"score {max(scores.values())} is above {BEST_SCORE}")
    return RawMetrics(**raw) if raw else None, Scores(**scores)  # type: ignore[arg-type]


class _Layout(NamedTuple):
    """How metrics lie in their octets: number, fields and value of each; attributes of raw ones, then of scores."""

    form: struct.Struct
    fields: tuple[bytes, ...]
    raw: tuple[str, ...]
    scores: tuple[str, ...]


# By number of metrics and octets left: what was there last is there again, and is then read at once.
_layouts: dict[tuple[int, int], _Layout] = {}


def _remember(key: tuple[int, int], data: memoryview, position: int) -> None:
    """Remember how metrics lie that were decoded, if they are written as `encode` does it."""
    form, fields, metrics = "!B", [], []
    position += 1
    for _ in range(key[0]):
        field = bytes(data[position : position + _FIELDS_OCTETS])
        known = _READ.get((field[0], field[1], field[3]))
        if known is None or known[1] is _DOUBLE:
            return
        position += _FIELDS_OCTETS + known[1].size
        form += f"{_FIELDS_OCTETS}s{known[1].format[1:]}"
        fields.append(field)
        metrics.append(known[0])
    raw = tuple(metric.attribute for metric in metrics if metric.level == _LEVEL_OF_RAW)
    scores = tuple(metric.attribute for metric in metrics[len(raw) :])
    if len({*raw, *scores}) < len(metrics) or any(metric.level != _LEVEL_OF_RAW for metric in metrics[: len(raw)]):
        return
    if len(_layouts) >= _MOST_LAYOUTS:
        _layouts.clear()
    _layouts[key] = _Layout(struct.Struct(form), tuple(fields), raw, scores)
