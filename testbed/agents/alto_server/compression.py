"""Answers compressed by gzip, where a client takes that and it is worth it; those with a tag are compressed once."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections import OrderedDict

LEAST_OCTETS = 1024  # what is shorter fits a packet anyway
_LEVEL = 5
_MOST_KEPT = 16
_QUALITY_OF_NONE = re.compile(r"q=0(?:\.0{0,3})?", re.IGNORECASE)


def takes_gzip(accept_encoding: str | None) -> bool:
    """Return whether a client takes gzip (RFC 9110, section 12.5.3)."""
    wanted: dict[str, bool] = {}
    for part in (accept_encoding or "").split(","):
        coding, *parameters = (piece.strip().lower() for piece in part.split(";"))
        wanted[coding] = not any(_QUALITY_OF_NONE.fullmatch(parameter) for parameter in parameters)
    return wanted.get("gzip", wanted.get("x-gzip", wanted.get("*", False)))


class Compression:
    """Compressed answers, the last ones by their content; clients that wait for the same one wait for one."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, str], asyncio.Future[bytes]] = OrderedDict()

    async def compressed(self, body: bytes, key: tuple[str, str] | None) -> bytes:
        """Return a body compressed, beside the event loop; `key` stands for it, None: it comes but once."""
        loop = asyncio.get_running_loop()
        if key is None:
            return await loop.run_in_executor(None, gzip.compress, body, _LEVEL)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = loop.run_in_executor(None, gzip.compress, body, _LEVEL)
            if len(self._made) > _MOST_KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return await asyncio.shield(made)
