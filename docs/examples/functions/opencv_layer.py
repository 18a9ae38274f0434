"""Make the layer `opencv`, with OpenCV and NumPy in it: once, as anybody, from PyPI (62 MB; 38 MB on arm64).

.venv/bin/python docs/examples/functions/opencv_layer.py

It comes to .layers/opencv in the checkout, or to the folder that is named. What is there already stays. OpenCV is one
release, known by its hashes; NumPy is that of the environment this is started with. What no function needs (models of
other detectors, tests, types) is left out.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

REQUIREMENT = """opencv-python-headless==4.14.0.94 \\
    --hash=sha256:211e581f5a4670acbbe08fff36a35e9946039d2eea28b80394632d036d1be527 \\
    --hash=sha256:97c6e818c6f71c0cfa214e12293b1d0266d679c38f4e086de08357c8ac6ece0d
"""
FOLDER = Path(__file__).resolve().parents[3] / ".layers" / "opencv"
LEFT_OUT = ("cv2/data/*.xml", "**/tests", "**/__pycache__", "**/*.pyi", "**/*.a", "numpy/f2py", "numpy/_core/include")


def make(folder):
    """Make the layer, all of it or nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        layer = Path(temporary, "layer")
        install(layer, Path(temporary, "requirements.txt"))
        packages = Path(numpy.__file__).parents[1]
        for part in ("numpy", "numpy.libs", f"numpy-{numpy.__version__}.dist-info"):
            shutil.copytree(packages / part, layer / part)
        for pattern in LEFT_OUT:
            for path in sorted(layer.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        subprocess.run([sys.executable, "-B", "-c", "import cv2; cv2.HOGDescriptor()"], cwd=layer, check=True)
        layer.rename(folder)


def install(layer, requirements):
    """Install OpenCV, and nothing that it asks for, into a folder."""
    requirements.write_text(REQUIREMENT, encoding="utf-8")
    said = "--quiet --disable-pip-version-check --no-input --no-compile --root-user-action ignore"
    wanted = "--no-deps --require-hashes --only-binary :all:"
    pip = [sys.executable, "-m", "pip", "install", *said.split(), *wanted.split()]
    if subprocess.run([*pip, "--target", str(layer), "-r", str(requirements)], check=False).returncode:
        sys.exit("pip could not install OpenCV; what it said stands above. Is there a network?")


def size_mb(folder):
    """Return the size of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(f"usage: {sys.argv[0]} [FOLDER]")
    target = Path(sys.argv[1]).absolute() if len(sys.argv) == 2 else FOLDER
    os.umask(0o022)  # who reads it in a container is nobody
    if not target.exists():
        make(target)
    print(f"{target}: {size_mb(target):.0f} MB")
