"""Manifests and blobs over HTTP: whole or from an octet on (RFC 9110, section 14), each with its digest for a tag.

    GET /                     what this is, and what it has served so far
    GET /functions            the functions by name, with the digests of their manifests
    GET /manifests/DIGEST     a manifest
    GET /blobs/DIGEST         code or a layer

Owns ranges, conditions, and that a client that reads slowly holds up itself alone: no more of a blob waits in memory
than a piece, and each must be taken in time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import NamedTuple

from aiohttp import web

from testbed.agents.http.connections import BoundedServer, ConnectionLimits, watched
from testbed.agents.http.json_answers import json_answer
from testbed.agents.repository.content import Content, Item

_PIECE_OCTETS = 1 << 16
_LASTING = "public, max-age=31536000, immutable"


class Part(NamedTuple):
    """Octets of an item, from the first one to before the end; whether only they were asked for."""

    first: int
    end: int
    is_range: bool


class Frontend:
    """Answers the requests of all connections; `server` is what listens."""

    def __init__(self, content: Content, limits: ConnectionLimits) -> None:
        self._content, self._limits = content, limits
        self.counts: Counter[str] = Counter()
        self.server = BoundedServer(self._handle, limits)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        handler, transport = request.protocol, request.transport
        self.server.busy(handler)
        self.counts["requests"] += 1
        try:
            return await self._answer(request)
        except asyncio.CancelledError:  # its client has gone, or was cut off
            self.counts["not_taken"] += 1
            raise
        except ConnectionError:
            self.counts["not_taken"] += 1
            return web.Response(status=400)
        finally:
            if transport is not None and not transport.is_closing():
                self.server.idle(handler, transport)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return json_answer(405, {"error": "there is only GET here"}, {"Allow": "GET, HEAD"})
        match request.rel_url.path.strip("/").split("/"):
            case [""]:
                description = "functions as content: /functions, /manifests/DIGEST, /blobs/DIGEST"
                return json_answer(200, {"description": description, **self.served()})
            case ["functions"]:
                return json_answer(200, dict(self._content.listed()))
            case ["manifests" | "blobs" as kind, digest] if item := self._content.find(kind, digest):
                return await self._send_item(request, item)
        self.counts["not_found"] += 1
        return json_answer(404, {"error": f"there is nothing at {request.rel_url.path[:200]!r}"})

    def served(self) -> Mapping[str, int]:
        """Return what was served so far; octets are those of manifests and blobs that were given to connections."""
        names = ("requests", "bytes", "ranges", "not_found", "not_taken")
        return {name: self.counts[name] for name in names}

    async def _send_item(self, request: web.BaseRequest, item: Item) -> web.StreamResponse:
        tag = f'"{item.digest}"'
        fields = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": _LASTING}
        if _matches(request.headers.get("If-None-Match"), tag):
            return web.Response(status=304, headers=fields)
        part = _part(request, item.octets, tag)
        if part is None:
            return web.Response(status=416, headers={**fields, "Content-Range": f"bytes */{item.octets}"})
        response = web.StreamResponse(status=206 if part.is_range else 200, headers=fields)
        if part.is_range:
            self.counts["ranges"] += 1
            response.headers["Content-Range"] = f"bytes {part.first}-{part.end - 1}/{item.octets}"
        response.content_type = "application/json" if isinstance(item.content, bytes) else "application/octet-stream"
        response.content_length = part.end - part.first
        with watched(request, self._limits.stalled_s) as watch:
            await response.prepare(request)
            if request.method == "GET":
                async with aclosing(_pieces(item, part)) as pieces:
                    async for piece in pieces:
                        await response.write(piece)
                        self.counts["bytes"] += len(piece)
                        watch.again()
            await response.write_eof()
        return response


async def _pieces(item: Item, part: Part) -> AsyncGenerator[bytes, None]:
    if isinstance(item.content, bytes):
        yield item.content[part.first : part.end]
        return
    with item.content.open("rb") as file:
        file.seek(part.first)
        left = part.end - part.first
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(left, _PIECE_OCTETS))
            if not piece:
                raise ConnectionError("a blob's file is shorter than it was")
            yield piece
            left -= len(piece)


def _part(request: web.BaseRequest, octets: int, tag: str) -> Part | None:
    """Return what is asked for; None: octets that there are not. What is no single range of octets is left alone."""
    if request.method != "GET" or request.headers.get("If-Range", tag) != tag:
        return Part(0, octets, False)
    try:
        asked = request.http_range
    except ValueError:
        return Part(0, octets, False)
    first, end = asked.start, asked.stop
    if first is None and end is None:
        return Part(0, octets, False)
    if first is not None and first < 0:  # so many at the end
        return Part(max(0, octets + first), octets, True)
    first = first or 0
    return Part(first, octets if end is None else min(end, octets), True) if first < octets else None


def _matches(condition: str | None, tag: str) -> bool:
    """Return whether a condition names a tag; a weak one will do (RFC 9110, section 13.1.2)."""
    if condition is None:
        return False
    return condition.strip() == "*" or tag in [item.strip().removeprefix("W/") for item in condition.split(",")]
