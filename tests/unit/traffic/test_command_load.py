"""A load that is somebody else's program, run as its own process: what its row says of how it ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from testbed.records.parts import whole_rows

NAME = "load.client-1@east"


def row_of(folder: Path, program: Path) -> dict[str, Any]:
    now_s = time.monotonic()
    config = {
        "name": NAME, "workload": "load", "service": "web", "client": "client-1@east", "argv": [str(program)],
        "within": [], "environment": [], "folder": str(folder), "output": "output.log", "start_s": now_s,
        "end_s": now_s + 60, "patience_s": 60, "out_dir": str(folder),
    }  # fmt: skip
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    subprocess.run([sys.executable, "-m", "traffic.loads.command_load", str(path)], check=True, timeout=60)
    (row,) = whole_rows(folder / f"commands.{NAME}.part.csv")
    return row


def program(folder: Path, name: str, output: str, code: int = 0) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_a_tool_that_says_it_failed_has_failed_whatever_its_exit_code(tmp_path: Path) -> None:
    """So `iperf3 --json` ends where nobody listens."""
    document = {"start": {}, "intervals": [], "end": {}, "error": "unable to connect: Connection refused"}
    row = row_of(tmp_path, program(tmp_path, "iperf3", json.dumps(document)))
    assert (row["outcome"], row["exit_code"]) == ("failed", "0")
    assert (row["last_words"], row["figures"]) == (document["error"], "")


def test_a_tool_that_succeeds_is_ok_with_its_figures(tmp_path: Path) -> None:
    document = {"end": {"sum_received": {"bytes": 9, "bits_per_second": 72.0}}}
    row = row_of(tmp_path, program(tmp_path, "iperf3", json.dumps(document)))
    assert (row["outcome"], json.loads(row["figures"])) == ("ok", {"bits_per_s": 72.0, "bytes": 9.0})
