"""Service instances as real processes, for the tests that need one."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until

NAME = "render-1@chicago"


def free_ports(count: int) -> list[int]:
    """Return ports free for TCP and UDP alike, each with the one above it free too."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket(socket.AF_INET6) as tcp, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
            tcp.bind(("::", 0))
            port = tcp.getsockname()[1]
            if port < 65535 and not {port - 1, port, port + 1} & set(found):
                try:
                    udp.bind(("::", port + 1))
                except OSError:
                    continue
                found.append(port)
    return found


class RunningInstance:
    """An instance process and what it wrote."""

    def __init__(self, folder: Path, command_prefix: list[str] | None = None, **changes: Any) -> None:
        self.folder = folder
        self.http, self.rtp, self.admin = free_ports(3)
        config = {
            "name": NAME,
            "service": "render",
            "site": "chicago",
            "seed": 7,
            "http_port": self.http,
            "rtp_port": self.rtp,
            "admin_port": self.admin,
            "workers": 2,
            "queue_limit": 2,
            "speed": 1.0,
            "service_time": {"distribution": "exponential", "mean_ms": 5},
            "packet_time": {"distribution": "constant", "mean_ms": 0.2},
            "mode": "clock",
            "cpu_limit": None,
            "out_dir": str(folder),
            "sample_interval_s": 0.05,
            **changes,
        }
        path = folder / "config.json"
        path.write_text(json.dumps(config))
        command = [*(command_prefix or []), sys.executable, "-m", "testbed.agents.instance", str(path)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def wait_ready(self) -> None:
        ready = self.folder / f"{NAME}.ready"
        wait_until(lambda: ready.exists() or self.process.poll() is not None, what="the instance to be ready")
        assert ready.exists(), self.process.communicate()[1]

    def metrics(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(curl(f"http://127.0.0.1:{self.admin}/metrics"))
        return answer

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def outcome(self) -> tuple[int, str]:
        """Wait for a process that ends by itself; return its exit code and what it said."""
        _, error = self.process.communicate(timeout=20)
        return self.process.returncode, error

    def kill(self) -> None:
        """Whatever happened in the test, leave nothing behind."""
        self.process.kill()
        self.process.wait()
        assert self.process.stderr
        self.process.stderr.close()

    def table(self, name: str) -> list[dict[str, str]]:
        return list(whole_rows(self.folder / f"{name}.{NAME}.part.csv"))


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-sg", "--max-time", "20", *arguments], capture_output=True, text=True).stdout


Start = Callable[..., RunningInstance]


@contextmanager
def launcher(folder: Path) -> Iterator[Start]:
    """Start instances with changes to the usual configuration; end them whatever happens."""
    started: list[RunningInstance] = []

    def launch(*, folder: Path = folder, ready: bool = True, **changes: Any) -> RunningInstance:
        started.append(RunningInstance(folder, **changes))
        if ready:
            started[-1].wait_ready()
        return started[-1]

    try:
        yield launch
    finally:
        for running in started:
            running.kill()


async def ask(port: int, work_ms: float) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /?work_ms={work_ms} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()
