"""What holds of every end-to-end test: no client that asked a D-SID receives a packet under a D-BID."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.leaks import leaks_in, tables_in


@pytest.fixture(scope="module", autouse=True)
def no_leak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Look at all that the runs and testbeds of a module left; set up first, it comes after their ends."""
    folder = tmp_path_factory.getbasetemp()
    known = frozenset(tables_in(folder))
    yield
    assert leaks_in(folder, known=known) == []
