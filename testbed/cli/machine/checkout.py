"""The checkout of the source that this package is part of, where it is: its tests are not installed."""

from __future__ import annotations

from pathlib import Path

from testbed.errors import TestbedError

ROOT = Path(__file__).resolve().parents[3]


class NoCheckout(TestbedError):
    """The package was installed without its tests."""

    exit_code = 2


def check() -> None:
    """Raise NoCheckout unless the tests are there."""
    if not (ROOT / "tests").is_dir():
        raise NoCheckout(f"no tests beside {ROOT}; run ./dyncast from a checkout of the source")
