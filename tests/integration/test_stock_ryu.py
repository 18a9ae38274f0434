"""The same app on stock Ryu 4.34, in an environment of its own where os-ken is absent."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.echo_server import TCP_PORT
from tests.integration.ingress_network import INSTANCES, STEADY, built, controlled, say
from tests.integration.test_ingress_steering import port_of

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]

# Ryu's build reads its version through pbr and calls what setuptools 58 took away.
_BUILD = ("setuptools<58", "wheel", "pbr")
_RYU = ("ryu==4.34", "eventlet==0.33.3", "dnspython>=2")


def _interpreters() -> list[str]:
    """This Python and the others there are, among those on which Ryu's build and this eventlet still work."""
    found = {sys.version_info[:2]: sys.executable}
    for minor in (10, 11):
        program = shutil.which(f"python3.{minor}")
        if program and subprocess.run([program, "-m", "venv", "--help"], capture_output=True).returncode == 0:
            found.setdefault((3, minor), program)
    return [program for version, program in sorted(found.items())]


def _environment(folder: Path, interpreter: str) -> Path:
    """Make an environment with stock Ryu and return its Python."""
    _run(interpreter, "-m", "venv", str(folder))
    python = folder / "bin" / "python"
    install = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*install, *_BUILD)
    _run(*install, "--no-build-isolation", *_RYU)
    return python


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def _framework(python: Sequence[str]) -> str:
    return _run(*python, "-c", "from ryu_apps.openflow import framework; print(framework.NAME)").strip()


@pytest.mark.parametrize("interpreter", _interpreters(), ids=lambda program: Path(program).name)
def test_the_app_steers_a_tcp_connection_on_stock_ryu(interpreter: str, tmp_path: Path) -> None:
    python = [str(_environment(tmp_path / "environment", interpreter))]
    assert _framework(python) == "ryu"
    with built(tmp_path / "network") as ingress, controlled(ingress, tmp_path / "control", python) as control:
        for family in (0, 1):
            with ingress.client_socket(socket.SOCK_STREAM, (STEADY[family], TCP_PORT)) as connection:
                instance = say(connection, "first")
                assert instance in INSTANCES.values()
                for number in range(10):
                    assert say(connection, f"line {number}") == instance
                assert len(control.decisions(STEADY[family], port_of(connection))) == 1
        assert control.end() == 0
        assert "Traceback" not in control.log_path.read_text()
