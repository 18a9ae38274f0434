"""How long the long searches go on; one that takes much longer hangs."""

from __future__ import annotations

import pytest

_MORE_S = 180.0  # for the last batch


@pytest.fixture
def fuzz_seconds(pytestconfig: pytest.Config) -> float:
    """Each of them, by `--fuzz-seconds`."""
    return _seconds(pytestconfig)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") is not None and "fuzz_seconds" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(_seconds(config) + _MORE_S))


def _seconds(config: pytest.Config) -> float:
    return float(config.getoption("--fuzz-seconds"))
