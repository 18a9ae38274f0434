"""A run with everything: TLS, passwords, containers, deliveries, and users whom Dyncast steers. What is left of it?"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import load
from testbed.emulation.run_tag import REGISTER
from testbed.runtime.polling import wait_until
from tests.faas_process import remains
from tests.function_scenarios import functions_document, written
from tests.machine import dyncast, start_dyncast, unchanged

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

SLOW = "import time\n\ndef main(args):\n    time.sleep(0.04)\n    return {'length': len(args.get('payload', ''))}\n"
SECURED: dict[str, Any] = {
    "alto": {"site": "west", "interval_s": 0.5, "window_s": 3, "tls": True, "authentication": "digest"},
    "delivery": {"repository": "west", "site": "west", "policy": "alto"},
    "metrics": {"interval_s": 0.5, "authentication": "hmac"},
    "workloads": [
        {"name": "users", "kind": "invoke", "function": "echo", "clients": ["east"], "payload": {"bytes": 3000},
         "arrivals": {"rate_per_s": 8}, "timeout_s": 10},
    ],
    "captures": [{"name": "alto", "host": "alto@west"}],
}  # fmt: skip
PRIVATE = re.compile(rb"PRIVATE KEY|^alto-client:[0-9a-f]{32}$", re.MULTILINE)


def _scenario(folder: Path) -> Path:
    steering = {"d_sid": "203.0.113.20", "kept_s": 1, "announced_after_s": 1.5}
    keys = functions_document()["functions"]["echo"] | {"delivered_to": [], "steering": steering}
    return written(folder, SLOW, functions={"echo": keys}, **SECURED, duration_s=6)


def test_a_run_with_tls_and_passwords_serves_users_and_keeps_its_secrets(tmp_path: Path) -> None:
    with unchanged():
        done = dyncast("run", str(_scenario(tmp_path)), "--out", str(tmp_path / "results"))
    assert done.returncode == 0, done.stderr
    assert remains() == []
    folder = next((tmp_path / "results" / "functions").iterdir())
    run = load(folder)
    assert set(run.flows["outcome"]) == {"ok"}
    assert (run.flows["dst"].astype(str) == "203.0.113.20").any(), "steered"
    assert [check.detail for check in checks(run) if not check.ok] == []
    # Who shows no password is asked for one, and then answered.
    of_server = run.alto[(run.alto["node"] == "alto@west") & (run.alto["kind"] == "request")]
    assert {"200"} <= set(of_server["outcome"].astype(str))
    packets = (folder / "captures" / "alto.pcap").read_bytes()
    pushed = run.alto[(run.alto["kind"] == "update") & (run.alto["time_s"] > run.start_s)]
    assert len(pushed) and b"\x17\x03\x03" in packets, "what changed, in records of TLS"
    assert b"GET /directory" not in packets and b"alto-networkmap" not in packets, "and nothing of ALTO in the clear"
    secrets = [path for path in folder.rglob("*") if path.is_file() and PRIVATE.search(path.read_bytes())]
    assert secrets == []


def test_nothing_of_it_is_left_after_a_kill_and_clean(tmp_path: Path) -> None:
    out = tmp_path / "results"
    with unchanged():
        running = start_dyncast("run", str(_scenario(tmp_path)), "--out", str(out), "--set", "duration_s=60")
        wait_until(lambda: _has_steered(out), 90, "a user who was steered to a container")
        assert any(REGISTER.glob("*.keys/*.key")), "there are keys while it is up"
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        assert dyncast("clean").returncode == 0
        assert remains() == []
        assert not any(REGISTER.glob("*.keys"))
    left = [path for path in out.rglob("*") if path.is_file() and PRIVATE.search(path.read_bytes())]
    assert left == []


def _has_steered(out: Path) -> bool:
    parts = out.glob("functions/*/work/flows.*.part.csv")
    return any(",203.0.113.20,203.0.113.20," in path.read_text(encoding="utf-8") for path in parts)
