"""A run with everything that a report shows: the synthetic one, its network, what its links carried, its verdict."""

from __future__ import annotations

import json
from pathlib import Path

from tests.analysis_data import write_run

TOPOLOGY = """
name: small
nodes:
  - {name: core, latitude: 40, longitude: -100}
  - {name: chicago, role: d_router, latitude: 42, longitude: -88}
  - {name: denver, role: d_router, latitude: 40, longitude: -105}
  - {name: newyork, role: d_router, latitude: 41, longitude: -74}
  - {name: seattle, role: d_router, latitude: 48, longitude: -122}
  - {name: client-chicago, role: client}
links:
  - {a: core, b: chicago, delay_ms: 4, rate_mbps: 100}
  - {a: core, b: denver, delay_ms: 4}
  - {a: core, b: newyork, delay_ms: 8}
  - {a: core, b: seattle, delay_ms: 9}
  - {a: chicago, b: client-chicago}
"""
LINKS = {
    "core - chicago": {
        "a_to_b": {"packets": 1000, "bytes": 25_000_000, "dropped_loss": 3, "lateness": {"p99_ms": 0.5}},
        "b_to_a": {"packets": 10, "bytes": 1000},
    }
}
REASON = "all cores were 97% busy (limit 0.95)"
DURATION_S = 20.0


def write_reported_run(run_dir: Path) -> Path:
    """Write the run, whose verdict is `suspect` for the REASON."""
    fidelity = {"verdict": "suspect", "reasons": [REASON], "measured": {"cpu_share": 0.97}}
    write_run(run_dir, duration_s=DURATION_S, calls=10, fidelity=fidelity)
    (run_dir / "topology.yaml").write_text(TOPOLOGY)
    amend_manifest(run_dir, links={"links": LINKS})
    return run_dir


def amend_manifest(run_dir: Path, **changes: object) -> None:
    """Write a run's manifest again with other values."""
    path = run_dir / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
