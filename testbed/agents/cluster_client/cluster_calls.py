"""What a cluster client asks of others over HTTP: lists of the ALTO client, deliveries and removals of clusters.

Each call ends, in time, with what was asked for or with a `CallError` in one line; what follows, the core decides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from testbed import json_documents
from testbed.agents.cluster_client.config import ClusterPlace
from testbed.agents.http.tls import why_untrusted
from testbed.errors import TestbedError

_CALL_S = 10.0
_WAIT_S = 20.0  # for the end of a delivery at once, which may take longer
_PAUSE_S = 0.1
_MOST_OCTETS = 16 << 20
_OVER = ("done", "failed", "cancelled")


class CallError(TestbedError):
    """A call that did not do what was asked: who was asked, and why not."""


class Calls:
    """Calls over connections that stay open."""

    def __init__(self, session: aiohttp.ClientSession, alto_client: str, repository: str) -> None:
        self._session = session
        self._alto_client, self._repository = alto_client.rstrip("/"), repository.rstrip("/")

    async def clusters(self, address: str) -> bytes:
        """Return the list of clusters for users at an address (steps 2 and 3). Raises CallError."""
        url = f"{self._alto_client}/clusters?{urlencode({'address': address})}"
        status, body = await self._call("GET", url, None, None)
        if status != 200:
            raise CallError(f"{self._alto_client} answers {status}{_reason(body)}")
        return body

    async def deliver(self, place: ClusterPlace, digest: str) -> Mapping[str, Any]:
        """Have a function delivered (step 4); return the delivery once it is done. Raises CallError."""
        base = place.url.rstrip("/")
        order = {"function": digest, "repository": self._repository}
        status, body = await self._call("POST", f"{base}/api/v1/cluster/deliveries", place, order)
        delivery = self._delivery(base, status, body)
        number = quote(str(delivery.get("id")), safe="")
        url = f"{base}/api/v1/cluster/deliveries/{number}?blocking=true&timeout={round(1e3 * _WAIT_S)}"
        while delivery.get("state") not in _OVER:
            asked_s = time.monotonic()
            status, body = await self._call("GET", url, place, None, _WAIT_S + _CALL_S)
            delivery = self._delivery(base, status, body)
            if delivery.get("state") not in _OVER and time.monotonic() - asked_s < _WAIT_S / 2:
                await asyncio.sleep(_PAUSE_S)  # a cluster that does not wait
        if delivery["state"] != "done":
            raise CallError(f"{base}: delivery {delivery['state']}: {str(delivery.get('reason') or 'no reason')[:300]}")
        return delivery

    async def remove(self, place: ClusterPlace, function: str) -> None:
        """Have a function removed from a cluster; one that is not there is removed. Raises CallError."""
        base = place.url.rstrip("/")
        url = f"{base}/api/v1/namespaces/_/actions/{quote(function, safe='')}"
        status, body = await self._call("DELETE", url, place, None)
        if status not in (200, 404):
            raise CallError(f"{base} answers {status}{_reason(body)}")

    def _delivery(self, base: str, status: int, body: bytes) -> Mapping[str, Any]:
        if status not in (200, 202):
            raise CallError(f"{base} answers {status}{_reason(body)}")
        document = _document(body)
        if not isinstance(document, dict) or "id" not in document:
            raise CallError(f"{base} answers {status}, and no delivery")
        return document

    async def _call(
        self,
        method: str,
        url: str,
        place: ClusterPlace | None,
        document: Mapping[str, Any] | None,
        within_s: float = _CALL_S,
    ) -> tuple[int, bytes]:
        """Return status and body of an answer. Raises CallError."""
        try:
            return await asyncio.wait_for(self._exchange(method, url, place, document), within_s)
        except asyncio.TimeoutError as error:
            raise CallError(f"{url}: no answer within {within_s:g} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            reason = why_untrusted(error.certificate_error)
            text = f"its certificate is not trusted ({reason}); authority names the file of who vouches for it"
            raise CallError(f"{url}: {text}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallError(f"{url}: {str(error) or type(error).__name__}") from error

    async def _exchange(
        self, method: str, url: str, place: ClusterPlace | None, document: Mapping[str, Any] | None
    ) -> tuple[int, bytes]:
        auth = None if place is None else aiohttp.BasicAuth(*place.auth.split(":", 1))
        async with self._session.request(method, url, json=document, auth=auth, allow_redirects=False) as response:
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > _MOST_OCTETS:
                    raise CallError(f"{url}: an answer of more than {_MOST_OCTETS} octets")
            return response.status, bytes(body)


def _document(body: bytes) -> Any:
    try:
        return json_documents.parse(body)
    except ValueError:
        return None


def _reason(body: bytes) -> str:
    document = _document(body)
    said = document.get("error") if isinstance(document, dict) else None
    return f": {said[:300]}" if isinstance(said, str) else ""
