"""A session with ALTO servers over HTTP: bounded answers, TLS by an authority that is known, names and passwords.

What goes wrong on the way is an error that names the URL and the way out; what an answer says is the core's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from testbed.agents.http.tls import client_context, why_untrusted
from testbed.alto.client.answer_errors import AltoAnswerError
from testbed.alto.client.closure import Closure
from testbed.alto.client.contents import LARGEST_ANSWER
from testbed.alto.client.directory_walk import DirectoryWalk
from testbed.alto.service.exchange import Answer, Request

_CONNECT_S, _SILENT_S, _WHOLE_S = 10.0, 30.0, 120.0


class Unreachable(AltoAnswerError):
    """A server that gives no answer: it is not there, is not trusted, or says nothing in time."""


class Session:
    """Requests to servers, one after the other over connections that stay open. `user`: a name and its password."""

    def __init__(self, authority: Path | None = None, user: tuple[str, str] | None = None) -> None:
        """Take what is trusted, and who asks. Raises CannotTrust."""
        self._tls = client_context(authority)
        self._user = user
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Session:
        middlewares = () if self._user is None else (aiohttp.DigestAuthMiddleware(*self._user),)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=_WHOLE_S, sock_connect=_CONNECT_S, sock_read=_SILENT_S),
            middlewares=middlewares,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def walk(self, url: str) -> Closure:
        """Return all resources that a directory leads to. Raises AltoAnswerError or AltoDataError."""
        walk = DirectoryWalk(url)
        while (request := walk.next_request()) is not None:
            walk.take(await self.fetch(request))
        return walk.closure

    async def fetch(self, request: Request) -> Answer:
        """Return the answer to a request. Raises Unreachable."""
        async with self._response(request) as response:
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > LARGEST_ANSWER:
                    raise Unreachable(request.path, f"the answer has more than {LARGEST_ANSWER} octets")
            return Answer(response.status, dict(response.headers), bytes(body))

    async def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Return what a stream of updates brings, until it ends. Raises AltoAnswerError."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=2 * _SILENT_S)
        async with self._response(request, timeout=timeout) as response:
            if response.status != 200:
                said = (await response.content.read(1000)).decode(errors="replace").strip()
                raise AltoAnswerError(request.path, f"the server answers {response.status}: {said}")
            async for part in response.content.iter_any():
                yield part

    @asynccontextmanager
    async def _response(self, request: Request, **more: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None
        url = request.path
        try:
            async with self._session.request(
                request.method,
                url,
                headers=dict(request.headers),
                data=request.body or None,
                allow_redirects=False,
                **more,
            ) as response:
                if response.status == 401:
                    raise Unreachable(url, _who(self._user))
                yield response
        except aiohttp.ClientConnectorCertificateError as error:
            reason = why_untrusted(error.certificate_error)
            text = f"its certificate is not trusted ({reason}); --cacert FILE names the authority that vouches for it"
            raise Unreachable(url, text) from error
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or str(error.os_error)
            raise Unreachable(url, f"no connection ({reason}); is a server there?") from error
        except asyncio.TimeoutError as error:
            raise Unreachable(url, "no answer in time; is it a server of ALTO?") from error
        except aiohttp.InvalidURL as error:
            raise Unreachable(url, "this is no URL") from error
        except aiohttp.ClientError as error:
            text = str(error) or type(error).__name__
            raise Unreachable(url, f"the answer is cut off, or no HTTP ({text}); http or https?") from error


def _who(user: tuple[str, str] | None) -> str:
    if user is None:
        return "the server wants to know who asks; --user NAME:PASSWORD says it"
    return f"the server does not know {user[0]!r} with this password; --user NAME:PASSWORD says another"
