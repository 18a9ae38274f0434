"""Where the labels of a drawn network go: beside their nodes, off each other, off nodes and lines.

Pure; inches throughout. Greedy: each label in turn takes the place that covers least.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from topologies.drawing.layout import distances_to_segments

_CHARACTER_WIDTH, _LINE_HEIGHT = 0.6, 1.25  # of the type size; names rarely hold wider letters
_POINTS_PER_INCH = 72.0
_GAP_IN = 0.03
# Which side of the node a label hangs at, in order of preference, as multiples of its half width and height.
_SIDES = np.array([(0, -1), (0, 1), (1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1)], dtype=float)
_RINGS_IN = (0.0, 0.1)  # close by, or a little off where it is crowded
_TEXT_COST, _NODE_COST, _LINE_COST, _LATER_COST = 60.0, 40.0, 1.0, 0.12
_SHARES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74)


@dataclass
class Labels:
    """The free space of a picture of nodes (n, 2) of one radius and lines (m, 2, 2); each label placed takes some."""

    nodes: np.ndarray
    radius: float
    lines: np.ndarray
    _boxes: list[np.ndarray] = field(default_factory=list)

    def beside(self, place: tuple[float, float], text: str, size_pt: float) -> tuple[float, float]:
        """Place a label next to a node; return its centre."""
        half = np.array(extent(text, size_pt)) / 2
        candidates = np.concatenate(
            [np.array(place) + _SIDES * (half + self.radius + _GAP_IN + ring) for ring in _RINGS_IN]
        )
        return self._best(candidates, half)

    def along(self, a: tuple[float, float], b: tuple[float, float], text: str, size_pt: float) -> tuple[float, float]:
        """Place a label on a line; return its centre."""
        start, end = np.array(a), np.array(b)
        half = np.array(extent(text, size_pt)) / 2
        return self._best(np.array([start + share * (end - start) for share in _SHARES]), half)

    @property
    def boxes(self) -> np.ndarray:
        """What is taken by labels: (n, 4), left, bottom, right, top."""
        return np.array(self._boxes).reshape(-1, 4)

    def _best(self, candidates: np.ndarray, half: np.ndarray) -> tuple[float, float]:
        boxes = np.concatenate([candidates - half, candidates + half], axis=1)
        costs = np.arange(len(candidates)) * _LATER_COST
        costs = costs + _TEXT_COST * _overlap(boxes, self.boxes).sum(axis=1)
        nodes = np.concatenate([self.nodes - self.radius, self.nodes + self.radius], axis=1)
        costs = costs + _NODE_COST * _overlap(boxes, nodes).sum(axis=1)
        costs = costs + _LINE_COST * self._lines_under(candidates, half)
        best = int(np.argmin(np.round(costs, 6)))
        self._boxes.append(boxes[best])
        return float(candidates[best][0]), float(candidates[best][1])

    def _lines_under(self, centres: np.ndarray, half: np.ndarray) -> np.ndarray:
        """Count the lines through each box: in a plane squeezed to make boxes square, by distance from the centre."""
        if not len(self.lines):
            return np.zeros(len(centres))
        hit = distances_to_segments(centres / half, self.lines / half) < 1.0
        return np.asarray(hit.sum(axis=1), dtype=float)


def extent(text: str, size_pt: float) -> tuple[float, float]:
    """Return about how wide and high a text is, in inches."""
    return (
        len(text) * _CHARACTER_WIDTH * size_pt / _POINTS_PER_INCH,
        _LINE_HEIGHT * size_pt / _POINTS_PER_INCH,
    )


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the area in square inches, (n, m), that boxes (n, 4) share with others (m, 4); touching costs nothing."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.clip(high - low, 0.0, None).prod(axis=2))
