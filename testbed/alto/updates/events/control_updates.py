"""Control updates: what a stream says of itself (RFC 8895, section 5.3)."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.alto import json_octets
from testbed.alto.media_types import UPDATE_STREAM_CONTROL
from testbed.alto.updates.events.sse_events import encode
from testbed.alto.updates.patches.merge_patch import Json


@dataclass(frozen=True)
class ControlUpdate:
    """Substreams that start and stop, why, and at the begin of a stream where it is controlled.

    `names_control`: this is the first event of a stream, which names its control URI; None: there is no control.
    """

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    description: str | None = None
    names_control: bool = False
    control_uri: str | None = None

    def encoded(self) -> bytes:
        """Return the whole event."""
        document: dict[str, Json] = {"control-uri": self.control_uri} if self.names_control else {}
        if self.started:
            document["started"] = list(self.started)
        if self.stopped:
            document["stopped"] = list(self.stopped)
        if self.description is not None:
            document["description"] = self.description
        return encode(UPDATE_STREAM_CONTROL, json_octets.encode(document))

    @classmethod
    def parse(cls, text: str) -> ControlUpdate:
        """Return what the data of an event says. Raises ValueError."""
        document = json_octets.parse(text.encode())
        if not isinstance(document, dict):
            raise ValueError("a control update is a JSON object")
        uri, description = document.get("control-uri"), document.get("description")
        if not isinstance(uri, str | None) or not isinstance(description, str | None):
            raise ValueError("control-uri and description are texts")
        return cls(
            _names(document, "started"), _names(document, "stopped"), description, "control-uri" in document, uri
        )


def _names(document: dict[str, Json], member: str) -> tuple[str, ...]:
    names = document.get(member, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{member} is an array of substream-ids")
    return tuple(names)
