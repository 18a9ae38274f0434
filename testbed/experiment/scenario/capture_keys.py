"""The scenario's `captures:`: packets to keep. Whether the places exist is `plan`'s business.

The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from testbed.experiment.schema_parts import FILE_NAME, Part


class CaptureKeys(Part):
    """A packet capture, by tcpdump."""

    name: Annotated[str, Field(pattern=FILE_NAME, max_length=40)]
    """Name of the file: captures/<name>.pcap with the results."""
    host: str | None = None
    """Client or instance whose interface is listened at, named as in results."""
    link: tuple[str, str] | None = None
    """Or: the two nodes of a link; listened at is the first one's end."""
    filter: str = ""
    """What to keep, as a filter of tcpdump: udp portrange 5004-5005. Default: everything."""
    snap_bytes: int = Field(0, ge=0, le=262144)
    """Bytes to keep of each packet; 0: all."""
    begins: Literal["load", "network"] = "load"
    """load: just before the load; network: before any process starts, so that what they say before the load is kept."""

    @model_validator(mode="after")
    def _is_one(self) -> CaptureKeys:
        if (self.host is None) == (self.link is None):
            raise ValueError("say either host or link")
        return self

    @property
    def place(self) -> tuple[str, str | None]:
        """The node, and the peer to which the link leads that is listened at; a host has only one."""
        return self.link or (str(self.host), None)
