"""The layer `opencv`, made by the command that docs show, for tests of object detection."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import CHECKOUT

LAYER = CHECKOUT / ".layers" / "opencv"
_MAKES_IT = CHECKOUT / "docs" / "examples" / "functions" / "opencv_layer.py"


def opencv_layer() -> Path:
    """Return the folder of the layer; it is made once in a checkout. Skips where PyPI is out of reach."""
    done = subprocess.run([sys.executable, str(_MAKES_IT)], capture_output=True, text=True, timeout=170, check=False)
    if "pip could not install OpenCV" in done.stderr:
        pytest.skip(f"there is no OpenCV: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    assert str(LAYER) in done.stdout
    subprocess.run(["chown", "-R", f"--reference={CHECKOUT}", str(LAYER.parent)], check=True)  # tests run as root
    return LAYER
