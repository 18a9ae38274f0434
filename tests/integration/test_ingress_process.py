"""The control process on its own: what it says when it cannot serve."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_NAME = "control@x"


@pytest.fixture
def in_band() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        yield ours


def started(folder: Path, in_band: socket.socket, **changes: Any) -> subprocess.CompletedProcess[str]:
    document = {
        "name": _NAME,
        "site": "x",
        "seed": 1,
        "out_dir": str(folder),
        "datapath_id": 1,
        "uplink_port": 1,
        "in_band_fd": in_band.fileno(),
        "in_band_port": 7000,
        "services": [{"name": "render", "d_sids": ["203.0.113.10"]}],
        **changes,
    }
    path = folder / "config.json"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        path.write_text(json.dumps({"openflow_fd": listening.fileno(), **document}))
        return subprocess.run(
            [sys.executable, "-m", "ryu_apps.launcher", str(path)],
            pass_fds=[in_band.fileno(), listening.fileno()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"openflow_fd": "x"}, ["openflow_fd"]),
        ({"openflow_df": 1}, ["openflow_df", "openflow_fd"]),
        ({"openflow_fd": 1_000_000}, ["openflow_fd"]),
        ({"services": [{"name": "render", "d_sids": ["203.0.113"]}]}, ["services[0].d_sids[0]", "203.0.113"]),
        ({"services": [{"name": "render", "d_sids": ["203.0.113.10"], "policy": "best"}]}, ["policy", "round_robin"]),
        ({"out_dir": "/nowhere"}, ["out_dir", "/nowhere"]),
        ({"in_band_fd": 1_000_000}, ["in_band_fd"]),
    ],
)
def test_a_configuration_that_cannot_serve_is_one_line_and_exit_code_2(
    tmp_path: Path, in_band: socket.socket, changes: dict[str, Any], words: list[str]
) -> None:
    done = started(tmp_path, in_band, **changes)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in [str(tmp_path / "config.json"), *words]), line
