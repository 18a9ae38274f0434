"""A copy of the product, into which a test puts templates by the steps of CONTRIBUTING.md."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.floor_plan import PACKAGES, PAGE, ROOT

TEMPLATES = ROOT / "docs/templates"


class Copy:
    """The product's packages in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))

    def place(self, template: str, module: str) -> None:
        """Copy a template to where its section says."""
        assert f"(docs/templates/{template}) to `{module}`" in " ".join(PAGE.read_text(encoding="utf-8").split())
        shutil.copy(TEMPLATES / template, self.folder / module)

    def add(self, line: str, *, to: str, after: str, said: bool = True) -> None:
        """Add a line below the one that begins with `after`; if `said`, as CONTRIBUTING.md has it."""
        assert not said or f"\n       {line}\n" in PAGE.read_text(encoding="utf-8")
        path = self.folder / to
        head, found, rest = path.read_text(encoding="utf-8").partition(f"\n{after}")
        assert found, f"{to} has no line that begins with {after!r}"
        opening, rest = rest.split("\n", 1)
        path.write_text(f"{head}{found}{opening}\n{line}\n{rest}", encoding="utf-8")

    def python(self, *arguments: str) -> str:
        """Run Python on the copy, and return what it printed."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
