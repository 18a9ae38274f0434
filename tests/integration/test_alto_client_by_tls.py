"""Who asks an ALTO client by HTTPS: it trusts the authority of the run, and says what is wrong with any other."""

from __future__ import annotations

import asyncio
import re
import socket
from datetime import datetime, timezone
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from testbed.agents.alto_server.certificates import make
from testbed.agents.cluster_client.cluster_calls import CallError, Calls
from testbed.agents.http.tls import TlsFiles, client_context, server_context


def _made(folder: Path, name: str = "127.0.0.1") -> TlsFiles:
    folder.mkdir()
    return make(folder, [name], datetime.now(timezone.utc))


async def _asked(served_by: TlsFiles, trusted: TlsFiles) -> bytes:
    """What a cluster client gets that trusts an authority."""

    async def handle(_request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"clusters": []})

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening, ssl_context=server_context(served_by)).start()
    connector = aiohttp.TCPConnector(ssl=client_context(trusted.authority))
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            port = listening.getsockname()[1]
            return await Calls(session, f"https://127.0.0.1:{port}", "http://127.0.0.1:1").clusters("10.1.0.10")
    finally:
        await runner.cleanup()


def test_a_server_that_the_authority_vouches_for_is_believed(tmp_path: Path) -> None:
    files = _made(tmp_path / "own")
    assert asyncio.run(_asked(files, files)) == b'{"clusters": []}'


@pytest.mark.parametrize("name", ["127.0.0.1", "127.0.0.2"], ids=["unknown authority", "certificate of another"])
def test_any_other_is_named_with_the_reason(name: str, tmp_path: Path) -> None:
    own, other = _made(tmp_path / "own"), _made(tmp_path / "other", name)
    trusted = own if name == "127.0.0.1" else other
    with pytest.raises(CallError) as caught:
        asyncio.run(_asked(other, trusted))
    assert "\n" not in str(caught.value)
    assert re.search(
        r"https://127.0.0.1:\d+/clusters.*its certificate is not trusted \(.+\); authority", str(caught.value)
    )
