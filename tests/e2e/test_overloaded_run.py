"""More than this machine carries: the run comes out invalid, and says why."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.machine import dyncast, unchanged

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

# What one core of the machine on which it took _LOOP_S to count was seen to bind as a reactive ingress.
_BOUND_PER_S, _LOOP_S = 7_000, 0.045
_PER_CLIENT_PER_S = 1000  # more, and validate would refuse it


def _clients() -> int:
    """Return how many clients offer twice what one core of this machine binds."""
    took_s = []
    for _ in range(3):
        begun_s = time.perf_counter()
        sum(number * number for number in range(1_000_000))
        took_s.append(time.perf_counter() - begun_s)
    return min(40, max(10, round(2 * _BOUND_PER_S * _LOOP_S / min(took_s) / _PER_CLIENT_PER_S)))


def _run(folder: Path, clients: int, rate_per_s: float) -> dict[str, Any]:
    document = {
        "name": "overload",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}},
        "services": {"render": {"d_sid": "203.0.113.10", "affinity": {"timeout_s": 5}}},
        "instances": [{"service": "render", "site": "east", "count": 2, "workers": 100, "queue_limit": 1000}],
        "clients": [{"site": "east", "count": clients}],
        "workloads": [
            {"name": "jobs", "service": "render", "clients": ["east"], "arrivals": {"rate_per_s": rate_per_s},
             "work": {"mean_ms": 5}, "timeout_s": 2},
        ],
        "duration_s": 2,
    }  # fmt: skip
    path = folder / "overload.yaml"
    path.write_text(yaml.safe_dump(document))
    with unchanged():
        done = dyncast("run", str(path), "--out", str(folder / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (folder / "results" / "overload").iterdir()
    manifest: dict[str, Any] = json.loads((run_dir / "manifest.json").read_text())
    if manifest["fidelity"]["verdict"] != "valid":
        assert manifest["fidelity"]["verdict"].upper() in done.stdout
    return manifest


def test_more_new_flows_than_a_core_binds_make_a_run_invalid_and_it_says_so(tmp_path: Path) -> None:
    clients = _clients()
    fidelity = _run(tmp_path, clients, clients * _PER_CLIENT_PER_S)["fidelity"]
    assert fidelity["verdict"] == "invalid"
    measured, reasons = fidelity["measured"], "; ".join(fidelity["reasons"])
    # Where there are cores enough for the clients, the ingress is too slow; on few cores, they all are.
    too_slow = {
        "to be handled": measured["control_delay_p99_ms"] > 200,
        "generators sent": measured["generator_lateness_p99_ms"] > 10 or measured["generator_shortfall"] > 0.05,
    }
    assert any(too_slow.values()), fidelity
    assert all(words in reasons for words, is_so in too_slow.items() if is_so), fidelity
