"""A disk that fills while a run goes on: named as the cause, and the manifest says that the run failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testbed.records.manifest import FAILED
from tests.integration.own_mounts import run_python

pytestmark = pytest.mark.root

_PROGRAM = """
import json, sys
from pathlib import Path
from testbed.experiment.execution.planned_manifest import planned
from testbed.experiment.execution.run_folder import NoRoomError, RunFolder
from testbed.experiment.launch.processes import RunError
from tests.scenarios import small_plan
path = Path(sys.argv[1]) / "run"
path.mkdir()
folder = RunFolder(path, planned(small_plan(), None, "now", {}))
try:
    with folder.until_the_end():
        try:
            with (folder.work / "table.csv").open("wb", buffering=0) as table:
                while True:
                    table.write(bytes(4096))
        except OSError as error:
            if sys.argv[2] == "here":
                raise
        raise RunError("control@east ended with code 1: nothing in its log")  # it had no room to say why
except NoRoomError as error:
    print(error)
manifest = json.loads((path / "manifest.json").read_text())
print(json.dumps([manifest["status"], manifest["error"], sorted(item.name for item in path.iterdir())]))
"""


@pytest.mark.parametrize("place", ["here", "in a process"])
def test_a_full_disk_is_the_cause_that_is_named(place: str, tmp_path: Path) -> None:
    shown = run_python(_PROGRAM, f"mount -t tmpfs -o size=4m tmpfs {tmp_path}", str(tmp_path), place)
    said, manifest = shown.splitlines()
    status, error, left = json.loads(manifest)
    assert status == FAILED
    assert said == error
    assert error.startswith(f"the disk of {tmp_path}/run is full: make room, or use --out: ")
    assert left == ["manifest.json", "work"]
