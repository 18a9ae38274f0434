"""The functions of docs/examples/functions on a cluster, as their page starts and invokes them."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.faas_process import cluster
from tests.machine import CHECKOUT

pytestmark = [pytest.mark.root]

FOLDER = CHECKOUT / "docs" / "examples" / "functions"


def test_all_functions_run_cold_and_warm() -> None:
    with cluster("--layer", f"packages={sysconfig.get_path('purelib')}") as running:
        command = [sys.executable, str(FOLDER / "invoke_all.py"), running.url, running.auth]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
        kinds = str(running.ask("GET", "/api/v1").document["runtimes"])
    assert done.returncode == 0, done.stderr
    said = dict.fromkeys(line.partition(":")[0] for line in done.stdout.splitlines())
    assert [*said] == ["thumbnail", "compression", "graph-ranking", "words"]
    for start in ("cold", "warm"):
        assert done.stdout.count(f": {start}, waited") == (4 if "nodejs" in kinds else 3)
    assert '"size": [64, 36], "of": [1280, 720]' in done.stdout or '"thumbnail": "' in done.stdout


def test_they_say_what_they_cannot_do() -> None:
    with cluster() as running:
        running.create("compression", (FOLDER / "compression.py").read_text(encoding="utf-8"))
        reply = running.invoke("compression", {"algorithm": "rar"})
    assert (reply.status, reply.document["response"]["status"]) == (502, "application error")
    assert "zlib" in reply.document["response"]["result"]["error"]


def test_the_page_names_every_function() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in Path(FOLDER).iterdir() if path.suffix in (".py", ".js")} - {"invoke_all.py"}
    assert len(files) >= 4
    assert all(f"({name})" in page for name in files)
