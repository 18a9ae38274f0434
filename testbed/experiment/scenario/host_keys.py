"""The scenario's `sites:` and `clients:`: what is attached to the network, and where.

Whether the places exist is `plan`'s business. The descriptions are the documentation.
"""

from __future__ import annotations

from pydantic import Field

from testbed.experiment.schema_parts import LinkKeys, Part


class SiteKeys(Part):
    """An edge site: a D-Router attached to an infrastructure router."""

    at: str
    """Name of the infrastructure router in the topology."""
    link: LinkKeys = LinkKeys(delay_ms=0.5)
    """The link between the two."""


class ClientKeys(Part):
    """Client hosts at a site."""

    site: str
    """Edge site they are attached to: its D-Router is their ingress."""
    count: int = Field(1, ge=1, le=200)
    """How many hosts."""
    link: LinkKeys = LinkKeys()
    """Link between each client and its site, or what it is behind."""

    @property
    def behind(self) -> str | None:
        """The switch of a system that they are behind, if they do not hang off their site itself."""
        return None
