"""A repository as a process, and a way to it that a test may cut or hold up."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from testbed.agents.functions.blobs import Source
from testbed.agents.repository.config import FunctionConfig, RepositoryConfig
from testbed.runtime.polling import wait_until
from tests.machine import CHECKOUT

_LOOPBACK = ip_address("127.0.0.1")


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind((str(_LOOPBACK), 0))
        return int(probe.getsockname()[1])


class RepositoryOfTest:
    """A repository on loopback, in a folder of its own."""

    def __init__(self, folder: Path, functions: Mapping[str, Source], **limits: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{_LOOPBACK}:{self.port}"
        (folder / "store").mkdir(parents=True)
        configs = {
            name: FunctionConfig(source.code, source.kind, layers=source.layers) for name, source in functions.items()
        }
        config = RepositoryConfig("repository", folder, _LOOPBACK, self.port, folder / "store", configs, **limits)
        (folder / "config.json").write_text(json.dumps(config.to_document()))
        self.process = self._started()

    def get(self, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """Ask for something; return status, head and body."""
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def document(self, path: str) -> Any:
        """Ask for a document."""
        return json.loads(self.get(path)[2])

    def digest(self, function: str) -> str:
        """The digest of a function's manifest."""
        return str(self.document("/functions")[function]["manifest"])

    def blob_files(self) -> list[Path]:
        """The files of its blobs, the largest last."""
        return sorted((self.folder / "store").glob("*/*"), key=lambda path: path.stat().st_size)

    def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        self.process.wait(timeout=30)

    def start_again(self) -> None:
        """Start it at the same port once more."""
        self.process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        ready = self.folder / "repository.ready"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "testbed.agents.repository", str(self.folder / "config.json")]
        process = subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: ready.exists() or process.poll() is not None, 60, "a repository")
        if process.poll() is not None:
            pytest.fail(f"no repository: {process.communicate()[1]}")
        return process


@contextmanager
def repository(folder: Path, functions: Mapping[str, Source], **limits: Any) -> Iterator[RepositoryOfTest]:
    """Have a repository that serves while the block runs."""
    running = RepositoryOfTest(folder, functions, **limits)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
        running.process.communicate(timeout=30)


class Way:
    """A way to a server: what it sends passes up to some octet, and is cut there once, or held until `open`."""

    def __init__(self, url: str) -> None:
        self._target = (urlsplit(url).hostname, urlsplit(url).port)
        self._listening = socket.create_server((str(_LOOPBACK), 0))
        self.url = f"http://{_LOOPBACK}:{self._listening.getsockname()[1]}"
        self.passed = 0
        self._until: int | None = None
        self._is_cut_there = False
        self._opened = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, octets: int) -> None:
        """Cut the connection that brings this octet, from now on."""
        self._until, self._is_cut_there = self.passed + octets, True

    def hold_after(self, octets: int) -> None:
        """Let no octet after this one pass until it is opened."""
        self._opened.clear()
        self._until, self._is_cut_there = self.passed + octets, False

    def open(self) -> None:
        """Let everything pass."""
        self._until = None
        self._opened.set()

    def close(self) -> None:
        """Let nobody pass any more."""
        self.open()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(self._target, timeout=60)  # type: ignore[arg-type]
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=self._relay, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._relay, args=(server, client, True), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, is_counted: bool) -> None:
        try:
            while part := source.recv(1 << 14):
                if is_counted and self._until is not None and self.passed + len(part) > self._until:
                    if self._is_cut_there:
                        target.sendall(part[: self._until - self.passed])
                        self.passed, self._until = self._until, None
                        return
                    self._opened.wait(60)
                target.sendall(part)
                self.passed += len(part) if is_counted else 0
        except OSError:
            pass
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


@contextmanager
def way_to(url: str) -> Iterator[Way]:
    """Have a way to a server while the block runs."""
    way = Way(url)
    try:
        yield way
    finally:
        way.close()
