"""The scenario's `alto:`: an ALTO server in the network, and how it learns what it says.

The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.experiment.schema_parts import LinkKeys, Part


class AltoKeys(Part):
    """An ALTO server (RFC 7285) on a host of the network. D-Routers and clusters report to it over the links."""

    site: str
    """Site of its host."""
    link: LinkKeys = LinkKeys()
    """Link between that host and its site."""
    tls: bool = False
    """Whether the ALTO server and the ALTO client serve HTTPS: with certificates of an authority of the run."""
    authentication: Literal["none", "digest"] = "none"
    """digest: the ALTO client shows that it has a password, drawn for the run (RFC 7616); without it, 401."""
    interval_s: float = Field(1.0, gt=0)
    """How often each reports."""
    window_s: float = Field(10.0, gt=0)
    """What is reported of a path was measured over so long."""
    lifetime_s: float = Field(5.0, gt=0)
    """What was not reported for so long is left out."""
