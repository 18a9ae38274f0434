"""The platform's own client, the npm package as published (pinned by the integrity of its files), against a cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.faas_process import cluster

pytestmark = [pytest.mark.root]

CLIENT = Path(__file__).with_name("openwhisk_client")
PROXIES = {"PROXY", "HTTP_PROXY", "HTTPS_PROXY"}  # the client would look for 127.0.0.1 behind one


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the client and the packages that it needs."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"capability {program} is missing: install it")
    folder = tmp_path_factory.mktemp("client") / "openwhisk_client"
    shutil.copytree(CLIENT, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("capability npm is missing: its registry does not answer")
    if done.returncode != 0:
        assert "EINTEGRITY" not in done.stderr, done.stderr
        pytest.skip(f"capability npm is missing: its packages cannot be fetched: {done.stderr.strip()[-200:]}")
    return folder


@pytest.mark.parametrize("kind", ["python:3", "nodejs:default"])
def test_the_client_creates_invokes_reads_and_deletes_actions(client: Path, kind: str) -> None:
    with cluster() as running:
        environment = {key: value for key, value in os.environ.items() if key.upper() not in PROXIES}
        done = subprocess.run(
            ["node", "client.js", running.url, running.auth, kind],
            cwd=client, capture_output=True, text=True, timeout=120, check=False, env=environment,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _check(json.loads(done.stdout), kind)


def _check(seen: dict[str, Any], kind: str) -> None:
    assert seen["created"]["exec"]["kind"] == kind
    assert seen["created"]["limits"]["memory"] == 128
    assert {"key": "note", "value": "x"} in seen["created"]["annotations"]
    assert seen["again"]["status"] == 409
    assert (seen["updated"]["version"], seen["shown"]["version"]) == ("0.0.2", "0.0.2")
    assert seen["shown"]["parameters"] == [{"key": "b", "value": 2}]
    assert seen["listed"] == ["sum"]
    assert seen["result"] == {"sum": 42}
    assert seen["blocking"]["response"]["result"] == {"sum": 3}
    assert seen["record"]["response"] == {"status": "success", "statusCode": 0, "success": True, "result": {"sum": 4}}
    assert [line.partition(" ")[2] for line in seen["logs"]["logs"]] == ["stdout: seen 2"]
    assert seen["later"]["result"] == {"sum": 4}
    assert seen["activations"] >= 3
    if kind == "python:3":  # NaN is a number in JavaScript, and no JSON: it sums up
        assert seen["failed"]["status"] == 502
    assert (seen["namespaces"], seen["triggers"]) == (["guest"], [])
    assert seen["deleted"] == "sum"
    assert seen["gone"]["status"] == 404
    assert seen["stranger"]["status"] == 401
