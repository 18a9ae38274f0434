"""The functions of docs/examples/functions on a cluster, as their page starts and invokes them."""

from __future__ import annotations

import base64
import importlib.util
import io
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.faas_process import cluster
from tests.machine import CHECKOUT
from tests.opencv_layer import opencv_layer

pytestmark = [pytest.mark.root]

FOLDER = CHECKOUT / "docs" / "examples" / "functions"
CAMERAS = FOLDER.parent / "cameras"


def test_all_functions_run_cold_and_warm() -> None:
    with cluster("--layer", f"packages={sysconfig.get_path('purelib')}") as running:
        command = [sys.executable, str(FOLDER / "invoke_all.py"), running.url, running.auth]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
        kinds = str(running.ask("GET", "/api/v1").document["runtimes"])
    assert done.returncode == 0, done.stderr
    said = dict.fromkeys(line.partition(":")[0] for line in done.stdout.splitlines())
    assert [*said] == ["thumbnail", "compression", "graph-ranking", "words", "object-detection"]
    assert "object-detection: left out, for the cluster says: there is no layer 'opencv' here" in done.stdout
    for start in ("cold", "warm"):
        assert done.stdout.count(f": {start}, waited") == (4 if "nodejs" in kinds else 3)
    assert '"size": [64, 36], "of": [1280, 720]' in done.stdout or '"thumbnail": "' in done.stdout


def test_they_say_what_they_cannot_do() -> None:
    with cluster() as running:
        running.create("compression", (FOLDER / "compression.py").read_text(encoding="utf-8"))
        reply = running.invoke("compression", {"algorithm": "rar"})
    assert (reply.status, reply.document["response"]["status"]) == (502, "application error")
    assert "zlib" in reply.document["response"]["result"]["error"]


def test_people_on_frames_are_found_where_they_are() -> None:
    drawing = _drawing()
    frames = sorted((CAMERAS / "frames").iterdir())
    assert len(frames) == drawing.FRAMES
    drawn = io.BytesIO()
    drawing.frame(13).save(drawn, "PNG")  # one that is not shipped
    wanted = [*((drawing.people(number), path.read_bytes()) for number, path in enumerate(frames)),
              (drawing.people(13), drawn.getvalue())]  # fmt: skip
    with cluster("--layer", f"opencv={opencv_layer()}") as running:
        running.create("detect", (FOLDER / "object_detection.py").read_text(encoding="utf-8"), annotations=OPENCV)
        for people, frame in wanted:
            result = running.result("detect", {"image": base64.b64encode(frame).decode()})
            assert result["size"] == [drawing.WIDTH, drawing.HEIGHT]
            assert result["people"] == len(people), (people, result)
            assert all(any(_is_around(found, person) for found in result["boxes"]) for person in people), people
        reply = running.invoke("detect", {"image": "none"})
    assert reply.document["response"]["result"] == {"error": "image must be a picture in base64"}


OPENCV = [{"key": "layers", "value": ["opencv"]}]


def _is_around(found: dict[str, Any], person: tuple[int, ...]) -> bool:
    """Return whether a box has a person in its middle, with the margin that the detector leaves: a third at most."""
    (left, top, width, height), (x, y, wide, tall) = found["box"], person
    off = max(abs(left + width / 2 - x - wide / 2) / wide, abs(top + height / 2 - y - tall / 2) / tall)
    return off < 0.25 and 0.9 < height / tall < 4 / 3 + 0.1


def _drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_frames", CAMERAS / "draw_frames.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_names_every_function() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in Path(FOLDER).iterdir() if path.suffix in (".py", ".js")} - {"invoke_all.py"}
    assert len(files) >= 6
    assert all(f"({name})" in page for name in files)
