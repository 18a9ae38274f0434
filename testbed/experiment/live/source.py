"""What a system shows of a run while it goes on: its instances, and where flows go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ShownInstance:
    """An instance of a system: its host, its site, and how many it serves at once."""

    name: str
    host: str
    site: str
    workers: int


class LiveFlows:
    """Reads what processes of a system write as it grows, and adds it to `FlowRates`; asks nobody anything."""

    def read(self) -> None:
        """Take in what was written since the last time."""

    def close(self) -> None:
        """Let go of the files."""
