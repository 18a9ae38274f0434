"""Where a D-Router reports what it measured, for ALTO: the key `alto` of its control process (docs/processes.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.runtime.document import Document
from testbed.runtime.forms import Destination, Positive


@dataclass(frozen=True)
class AltoReportsConfig(Document):
    """To which ALTO server a D-Router reports, and what."""

    server: Destination
    """Where its reports go, by UDP."""
    interval_s: Positive = 1.0
    """It reports this often."""
    window_s: Positive = 10.0
    """What it reports of a path is what it measured over so long."""
    links: Mapping[str, str] = field(default_factory=dict)
    """The neighbour that each of its ports leads to, by the port's name; of others nothing is reported."""
