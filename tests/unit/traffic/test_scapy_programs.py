"""Programs that use Scapy are apart: under its licence, started as processes, importing nothing of the testbed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from traffic.content import scapy_packets

PROGRAMS = sorted((Path(scapy_packets.__file__).parents[1] / "scapy_programs").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_a_program_imports_scapy_and_the_standard_library_alone(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# SPDX-License-Identifier: GPL-2.0-only\n")
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    assert names - sys.stdlib_module_names == {"scapy"}


def test_their_folder_is_no_package_and_has_their_licence() -> None:
    folder = PROGRAMS[0].parent
    assert [path.name for path in PROGRAMS] == ["rtp_packets.py", "send_paced.py"]
    assert not (folder / "__init__.py").exists()
    assert "Version 2, June 1991" in (folder / "LICENSE").read_text()


def test_building_a_stream_loads_no_scapy() -> None:
    build = "from traffic.content.packets import build_stream; build_stream('audio', 0.1)"
    script = f"import sys; {build}; print('scapy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_program_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scapy_packets, "program", lambda _: [sys.executable, "-c", "raise SystemExit('no Scapy here')"])
    with pytest.raises(scapy_packets.ScapyError, match="no packets: no Scapy here"):
        list(scapy_packets.built([]))
