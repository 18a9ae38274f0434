"""`event:` lines: a media type, and for data the data-id of what it is for (RFC 8895, sections 5.1 and 5.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EventKind:
    """What an event is: the media type of its data, and which substream it is for; control updates are for none."""

    media_type: str
    data_id: str | None = None

    def __str__(self) -> str:
        return self.media_type if self.data_id is None else f"{self.media_type},{self.data_id}"

    @classmethod
    def parse(cls, text: str) -> EventKind:
        """Return what an `event:` line says; media types have no comma (RFC 6838, section 4.2)."""
        media_type, comma, data_id = text.partition(",")
        return cls(media_type.strip().lower(), data_id.strip() if comma else None)
