"""A million packets over ten thousand flows of mixed life, in each mode: one instance each, nothing lost or leaked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mixed_lives import FULL, MODES, SMALL, Size, carry_out

pytestmark = [pytest.mark.root, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [SMALL, pytest.param(FULL, marks=pytest.mark.slow)], ids=["small", "full"])
def test_flows_of_mixed_life_stay_at_their_instances_and_lose_nothing(mode: str, size: Size, tmp_path: Path) -> None:
    found = carry_out(mode, size, tmp_path)
    assert sum(of["flows"] for of in found.kinds.values()) == size.flows
    assert found.packets >= size.packets
    assert found.lacking() == {}, found.said
    assert found.split() == {}
    assert found.leaks == []
