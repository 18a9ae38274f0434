"""The functions that may be placed, as the repository has them: manifests by HTTP, once at the start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from testbed import json_documents
from testbed.agents.cluster_client.config import PlacedFunction
from testbed.faas.delivery import manifest as manifests
from testbed.faas.delivery.blobs import digest_of, is_digest
from testbed.faas.delivery.manifest import FunctionError, Manifest
from testbed.faas.limits import ActionLimits
from testbed.faas.placement.function import Function
from testbed.runtime.config import ConfigError
from testbed.runtime.lifecycle import ProcessFailure

_MOST_OCTETS = 1 << 20
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


@dataclass(frozen=True)
class Catalogue:
    """The functions; `digests`: of their manifests, by name."""

    functions: tuple[Function, ...]
    digests: Mapping[str, str]

    def names(self) -> Mapping[str, str]:
        """The functions' names by their digests."""
        return {digest: name for name, digest in self.digests.items()}


async def read(
    session: aiohttp.ClientSession, repository: str, wanted: Mapping[str, PlacedFunction], within_s: float
) -> Catalogue:
    """Return what a repository says of functions, once it does. Raises ConfigError or ProcessFailure."""
    until_s, pause_s = time.monotonic() + within_s, _PAUSE_S
    while True:
        try:
            return await _read(session, repository.rstrip("/"), wanted)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            if time.monotonic() + pause_s > until_s:
                reason = str(error) or type(error).__name__
                text = f"repository {repository}: no functions within {within_s:g} s ({reason}); is it running?"
                raise ProcessFailure(text) from error
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


async def _read(session: aiohttp.ClientSession, repository: str, wanted: Mapping[str, PlacedFunction]) -> Catalogue:
    listed = json_documents.parse(await _get(session, f"{repository}/functions"))
    functions, digests = [], {}
    for name, placed in wanted.items():
        entry = listed.get(name) if isinstance(listed, dict) else None
        digest = entry.get("manifest") if isinstance(entry, dict) else None
        if not isinstance(digest, str) or not is_digest(digest):
            there_are = ", ".join(listed) if isinstance(listed, dict) else ""
            raise ConfigError(f"functions.{name} is not in the repository; there are: {there_are or 'none'}")
        octets = await _get(session, f"{repository}/manifests/{digest}")
        if digest_of(octets) != digest:
            raise ValueError(f"the manifest of {name} has another digest")
        functions.append(_function(name, placed, _manifest(name, octets)))
        digests[name] = digest
    return Catalogue(tuple(functions), digests)


def _manifest(name: str, octets: bytes) -> Manifest:
    try:
        return manifests.read(octets)
    except FunctionError as error:
        raise ConfigError(f"functions.{name}: its manifest in the repository: {error}") from error


def _function(name: str, placed: PlacedFunction, manifest: Manifest) -> Function:
    return Function(
        name=name,
        kind=manifest.kind,
        memory_mb=manifest.limits.get("memory", ActionLimits().memory_mb),
        blobs={blob.digest: blob.octets for blob in manifest.blobs},
        start_ms=placed.start_ms,
        init_ms=placed.init_ms,
        run_ms=placed.run_ms,
        request_bytes=placed.request_bytes,
        answer_bytes=placed.answer_bytes,
        replicas=placed.replicas,
    )


async def _get(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise ValueError(f"{url} answers {response.status}")
        body = await response.content.read(_MOST_OCTETS + 1)
        while len(body) <= _MOST_OCTETS and not response.content.at_eof():
            body += await response.content.read(_MOST_OCTETS + 1)
        if len(body) > _MOST_OCTETS:
            raise ValueError(f"{url} answers with more than {_MOST_OCTETS} octets")
        return body
