"""The checkout of the source that this package is part of, where it is: its tests and benchmarks are not installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


class NoCheckout(RuntimeError):
    """The package was installed without its tests."""


def check() -> None:
    """Raise NoCheckout unless the tests are there."""
    if not (ROOT / "tests").is_dir():
        raise NoCheckout(f"no tests beside {ROOT}; run ./dyncast from a checkout of the source")


def benchmarks() -> tuple[ModuleType, ModuleType]:
    """Return the modules `tests.bench.main` and `tests.bench.harness`. Raises NoCheckout."""
    check()
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module("tests.bench.main"), importlib.import_module("tests.bench.harness")
