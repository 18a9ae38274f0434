"""A cluster as users start it (`dyncast faas`), and a client of its API."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from testbed.agents.cluster.sandboxes import control_groups
from testbed.emulation.remains import OWNER_ATTRIBUTE
from testbed.emulation.run_owner import RunOwner
from testbed.emulation.run_tag import OWNER_KEY
from tests.faas_samples import ECHO
from tests.machine import CHECKOUT

DELIVERIES = "/api/v1/cluster/deliveries"
PROGRAMS = ("crun", "runc", "bwrap")


class Reply(NamedTuple):
    """What the API answered."""

    status: int
    document: Any


class Client:
    """Asks the API of a cluster."""

    def __init__(self, url: str, auth: str) -> None:
        self.url, self.auth = url, auth
        self.authorization = f"Basic {base64.b64encode(auth.encode()).decode()}"

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """Send a request; `path` begins below the namespace, or at the top."""
        data = None if body is None else json.dumps(body).encode()
        below = "" if path.startswith("/") else "/api/v1/namespaces/_/"
        request = urllib.request.Request(f"{self.url}{below}{path}", data, method=method)
        request.add_header("Authorization", self.authorization)
        request.add_header("Content-Type", "application/json")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as response:
                return Reply(response.status, json.load(response))
        except urllib.error.HTTPError as error:
            return Reply(error.code, json.load(error))

    def create(self, name: str, code: str = ECHO, kind: str = "python:3", **more: Any) -> Reply:
        """Create an action, or change it."""
        body = {"exec": {"kind": kind, "code": code, **more.pop("exec", {})}, **more}
        return self.ask("PUT", f"actions/{name}?overwrite=true", body)

    def invoke(self, name: str, parameters: Any = None) -> Reply:
        """Invoke an action; return its whole activation."""
        return self.ask("POST", f"actions/{name}?blocking=true", parameters or {})

    def result(self, name: str, parameters: Any = None) -> Any:
        """Invoke an action that succeeds; return its result."""
        reply = self.invoke(name, parameters)
        assert reply.status == 200, reply.document
        return reply.document["response"]["result"]

    def deliver(self, digest: str, repository: str) -> str:
        """Have a function delivered; return the id of the delivery."""
        reply = self.ask("POST", DELIVERIES, {"function": digest, "repository": repository})
        assert reply.status == 202, reply.document
        return str(reply.document["id"])

    def delivery(self, delivery_id: str) -> Any:
        """What there is to say of a delivery."""
        return self.ask("GET", f"{DELIVERIES}/{delivery_id}").document

    def delivered(self, delivery_id: str) -> Any:
        """Wait for the end of a delivery; return what there is to say of it."""
        document = self.ask("GET", f"{DELIVERIES}/{delivery_id}?blocking=true").document
        assert "end" in document, document
        return document

    def state(self) -> Any:
        """What the cluster says of itself."""
        return self.ask("GET", "/api/v1/cluster").document


class ClusterOfTest(Client):
    """A cluster that a test has started."""

    def __init__(self, url: str, auth: str, process: subprocess.Popen[str], said: list[str]) -> None:
        super().__init__(url, auth)
        self.process = process
        self.said = said

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


@contextmanager
def cluster(*options: str, program: str | None = None, set_up: str = "") -> Iterator[ClusterOfTest]:
    """Have a cluster that serves while the block runs; `set_up`: a line of shell before, with mounts for it alone.

    Skips where its sandbox is not installed, or does not work.
    """
    if program is not None:
        if shutil.which(program) is None:
            pytest.skip(f"capability {program} is missing: install it, or run `sudo ./dyncast test`")
        options = (*options, "--sandbox", program)
    command = [sys.executable, "-m", "testbed.cli", "faas", "--port", "0", *options]
    if set_up:
        command = ["unshare", "--mount", "sh", "-c", f'{set_up} && exec "$@"', "sh", *command]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    said: list[str] = []
    listening = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
    listening.start()
    try:
        first = process.stdout.readline()
        if not first.startswith("apihost="):
            process.wait(timeout=30)
            listening.join(timeout=10)
            why = f"{first}{''.join(said)}"
            if program is not None and "no sandbox works here" in why:
                pytest.skip(f"capability {program} is missing: {why.strip()}")
            pytest.fail(f"no cluster: {why}")
        words = dict(word.split("=", 1) for word in first.split())
        yield ClusterOfTest(words["apihost"], words["auth"], process, said)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)


def remains() -> list[str]:
    """What clusters could leave on this machine: registered folders, control groups, containers' processes."""
    found = [str(path) for path in Path("/run/dyncast").glob("*")]
    for pattern in ("dyncast-*", "*/dyncast-*"):
        found += [str(path) for path in Path("/sys/fs/cgroup").glob(pattern) if _may_be_ours(path)]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if (
            b"/runtime/python_runtime.py" in words
            or b"/runtime/node_runtime.js" in words
            or b"/runtime/black_box.py" in words
        ):
            found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return sorted(found)


def _may_be_ours(group: Path) -> bool:
    """Control groups are those of the whole machine, on which other tests have clusters, too."""
    try:
        owner = RunOwner.parse(os.getxattr(group, OWNER_ATTRIBUTE).decode())
    except OSError:
        return group.exists()
    return owner is None or owner.is_in_this_pid_namespace


def environment_of_cluster() -> dict[str, str]:
    """What a cluster's process is started with by hand: its control groups are of this machine's tests."""
    return {**os.environ, OWNER_KEY: str(RunOwner.this_process())}


def remove_groups(pid: int) -> None:
    """Remove the control groups of a cluster's process that was started by hand and killed: nobody cleans after it."""
    for pattern in (f"dyncast-faas-{pid}", f"*/dyncast-faas-{pid}"):
        for group in Path("/sys/fs/cgroup").glob(pattern):
            for folder in (*filter(Path.is_dir, group.iterdir()), group):
                control_groups.remove(folder)
