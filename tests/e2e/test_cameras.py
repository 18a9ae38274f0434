"""The draft's scenario, docs/examples/cameras.yaml: frames go out, boxes come back, and each step can be looked at.

In a short form: the load ends soon, and its frames wait for the delivery of the function.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import RunData, load
from tests.faas_process import remains
from tests.machine import CHECKOUT, dyncast
from tests.opencv_layer import opencv_layer
from tests.scenarios import EXAMPLES

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

_PAGE = CHECKOUT / "docs" / "alto" / "experiments.md"
_ROW = re.compile(r"^\| (?P<step>[^|]+) \| `(?P<capture>[\w-]+)` \| `(?P<filter>[^`]+)` \|$", re.MULTILINE)
_KINDS = 4  # frame number n shows n % 4 people (docs/examples/cameras/draw_frames.py)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    for program in ("tcpdump", "tshark"):
        if shutil.which(program) is None:
            pytest.skip(f"capability {program} is missing: `sudo ./dyncast test` installs it")
    opencv_layer()
    out = tmp_path_factory.mktemp("cameras")
    done = dyncast("run", str(EXAMPLES / "cameras.yaml"), "--set", "duration_s=4", "--out", str(out), timeout_s=280)
    assert done.returncode == 0, done.stderr
    assert remains() == []
    return load(next((out / "cameras").iterdir()))


def test_people_are_found_on_frames_that_cameras_submit(run: RunData) -> None:
    assert len(run.flows) >= 15 and set(run.flows["outcome"]) == {"ok"}
    assert set(run.flows["client"].astype(object)) >= {"client-1@plaza", "client-1@station", "client-2@harbour"}
    boxes = _decoded(run, "camera", 'json.key == "boxes"', "json.path_with_value")
    people = [int(count) for answer in boxes for count in re.findall(r"/response/result/people:(\d+)", answer)]
    frames = int((run.flows["client"] == "client-1@plaza").sum())
    assert frames >= 3
    assert sorted(people) == sorted(number % _KINDS for number in range(frames)), "a box for everybody, and no other"
    assert [check.detail for check in checks(run) if not check.ok] == []


def test_the_four_steps_are_in_the_tables(run: RunData) -> None:
    assert set(run.alto["kind"].astype(object)) >= {"report", "request", "update", "list"}
    assert len(run.orders) >= 1
    delivered = run.deliveries[run.deliveries["outcome"] == "done"]
    assert len(delivered) >= 1 and (delivered["began_s"] > run.start_s).all(), "when the first camera asked"
    assert (delivered["bytes_fetched"] > 100_000_000).all(), "OpenCV with it, over the links"
    sent_to = set(run.placements["cluster"].dropna().astype(object))
    assert sent_to and sent_to <= {"cluster@city", "cluster@coast"}
    served = run.activations.dropna(subset="start")
    assert (served["asked"] == "cluster-client@city").all() and (served["redirects"] == 1).all()


def test_the_four_steps_are_in_the_capture(run: RunData) -> None:
    rows = list(_ROW.finditer(_PAGE.read_text(encoding="utf-8")))
    assert {row["step"][0] for row in rows} >= {"1", "2", "3", "4"}
    for row in rows:
        assert _decoded(run, row["capture"], row["filter"], "frame.number"), row["step"]
    assert _decoded(run, "alto-client", 'frame contains "event: application/alto-networkmap+json"', "frame.number")
    assert _decoded(run, "alto-client", 'frame contains "event: application/alto-costmap+json"', "frame.number")


def _decoded(run: RunData, capture: str, shown: str, field: str) -> list[str]:
    """Return a field of each packet of a capture that a display filter shows, as tshark decodes it."""
    path = Path(run.run_dir, "captures", f"{capture}.pcap")
    command = ["tshark", "-r", str(path), "-Y", shown, "-T", "fields", "-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
