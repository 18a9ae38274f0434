"""The scenario's `dispatcher`: how CFN nodes signal selections to their CFN Dispatchers, and the links between them.

Section 4.5 of the CFN-Dyncast architecture. Which clients are behind a Dispatcher is said by the topology, or by
`clients`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.experiment.scenario.host_keys import ClientKeys
from testbed.experiment.schema_parts import Name, Part


class DispatcherKeys(Part):
    """CFN Dispatchers: client-side switches that keep the flow binding table for their CFN node."""

    tells: Literal["explicit", "implicit"] = "explicit"
    """How a CFN node says which instance serves a flow: by a message in band, or by sending its first packet back."""
    delay_ms: float = Field(0.5, ge=0, le=10_000)
    """One-way delay between a Dispatcher that `clients` name and its CFN node."""


class DispatchedClientKeys(ClientKeys):
    """Client hosts at a site."""

    dispatcher: Name | None = None
    """CFN Dispatcher that they are behind; one that the topology does not have is put between them and the site."""

    @property
    def behind(self) -> str | None:
        """Their Dispatcher."""
        return self.dispatcher
