"""The keys of `dns` in a scenario: a name server in the emulated network. The descriptions are the documentation."""

from __future__ import annotations

from pydantic import Field

from testbed.experiment.schema_parts import Part

_ZONE = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*$"


class DnsKeys(Part):
    """A name server in the network: clients look services up there, as `<service>.<zone>`, before they begin a flow."""

    server: str | None = None
    """Node that it runs on: a D-Router, an infrastructure router or a host. Default: the first site's D-Router."""
    zone: str = Field("edge.example", pattern=_ZONE, max_length=150)
    """The zone that it is authoritative for."""
    ttl_s: int = Field(30, ge=0, le=604_800)
    """How long clients remember the address of a D-SID. Under the policy dns_ttl, its own ttl_s holds."""
