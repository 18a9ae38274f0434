"""A cluster's way to repositories: manifests, and blobs from an octet on, over HTTP.

Owns what a status and a head of an answer mean. What went wrong is a Problem in a line; whether to try again, the core
says, and how long to wait for octets, too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import BinaryIO

import aiohttp

from testbed.faas.delivery.manifest import MOST_OCTETS
from testbed.faas.delivery.orders import FetchBlob, FetchManifest, Problem, Trouble

_PASSING = (408, 425, 429)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_HEADERS = {"Accept-Encoding": "identity"}


class _ProblemError(Exception):
    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(trouble, text)


class RepositoryClient:
    """Fetches from any number of repositories."""

    def __init__(self, manifest_within_s: float) -> None:
        self._manifest_within_s = manifest_within_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def manifest(self, order: FetchManifest) -> bytes | Problem:
        """Return the octets of a manifest, or what went wrong."""
        try:
            return await asyncio.wait_for(self._manifest(order), self._manifest_within_s)
        except asyncio.TimeoutError:
            return Problem(Trouble.BROKEN, f"no answer from {order.repository} within {self._manifest_within_s:g} s")
        except _ProblemError as error:
            return error.problem
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _broken(order.repository, error)

    async def blob(self, order: FetchBlob, file: BinaryIO, on_octets: Callable[[int], None]) -> Problem | None:
        """Write a blob from the offset on into its file, which is there; return what went wrong.

        `on_octets` takes the length of the file each time that it has grown, or begins again.
        """
        try:
            await self._blob(order, file, on_octets)
        except _ProblemError as error:
            return error.problem
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
            return _broken(order.repository, error)
        return None

    async def _manifest(self, order: FetchManifest) -> bytes:
        url = f"{order.repository}/manifests/{order.digest}"
        async with self._session.get(url, headers=_HEADERS, allow_redirects=False) as response:
            _check_status(response, order.repository)
            received = bytearray()
            async for part in response.content.iter_any():
                received += part
                if len(received) > MOST_OCTETS:
                    raise _ProblemError(Trouble.OTHER, f"it is longer than {MOST_OCTETS} octets")
            return bytes(received)

    async def _blob(self, order: FetchBlob, file: BinaryIO, on_octets: Callable[[int], None]) -> None:
        url, octets = f"{order.repository}/blobs/{order.blob.digest}", order.blob.octets
        headers = dict(_HEADERS)
        if order.offset:
            headers |= {"Range": f"bytes={order.offset}-", "If-Range": f'"{order.blob.digest}"'}
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            come = _begins_at(response, order)
            if come != order.offset:
                _perform(file, lambda: (file.truncate(come), file.seek(come)))
            on_octets(come)
            async for part in response.content.iter_any():
                come += len(part)
                if come > octets:
                    raise _ProblemError(Trouble.OTHER, f"{order.repository} sends more than its {octets} octets")
                # Into the kernel's memory, in microseconds; a thread would cost more.
                _perform(file, lambda part=part: _write(file, part))  # type: ignore[misc]
                on_octets(come)


def _begins_at(response: aiohttp.ClientResponse, order: FetchBlob) -> int:
    """Return which octet an answer begins with. Raises _ProblemError."""
    _check_status(response, order.repository)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _ProblemError(Trouble.OTHER, f"{order.repository} sends it encoded, which was not asked for")
    if response.status == 200:
        if response.content_length not in (None, order.blob.octets):
            raise _ProblemError(Trouble.OTHER, f"{order.repository} has it with {response.content_length} octets")
        return 0
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != order.offset or found[3] not in ("*", str(order.blob.octets)):
        raise _ProblemError(Trouble.OTHER, f"{order.repository} sends other octets than were asked for")
    return order.offset


def _check_status(response: aiohttp.ClientResponse, repository: str) -> None:
    status = response.status
    if status in (200, 206):
        return
    if status == 416:
        raise _ProblemError(Trouble.OTHER, f"{repository} has less of it than there is already")
    if status in (404, 410):
        raise _ProblemError(Trouble.ABSENT, f"{repository} does not have it")
    trouble = Trouble.BROKEN if status >= 500 or status in _PASSING else Trouble.ABSENT
    raise _ProblemError(trouble, f"{repository} answers {status}")


def _perform(file: BinaryIO, action: Callable[[], object]) -> None:
    try:
        action()
    except OSError as error:
        raise _ProblemError(Trouble.DISK, f"it cannot be written to {file.name}: {error.strerror}") from error


def _write(file: BinaryIO, octets: bytes) -> None:
    view = memoryview(octets)
    while view:
        view = view[file.write(view) :]


def _broken(repository: str, error: Exception) -> Problem:
    reason = error.os_error.strerror if isinstance(error, aiohttp.ClientConnectorError) else ""
    return Problem(Trouble.BROKEN, f"{repository}: {reason or str(error) or type(error).__name__}")
