"""Runs start, end and are killed in two containers, among three cleaners: who lives loses nothing, nothing is left."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.containers import ARRANGEMENTS
from tests.lives_among_cleaners import LONG_S, SHORT_S, carry_out

pytestmark = [pytest.mark.root, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("seconds", [SHORT_S, pytest.param(LONG_S, marks=pytest.mark.slow)], ids=["short", "long"])
def test_who_lives_loses_nothing_and_nothing_is_left(arrangement: str, seconds: float, tmp_path: Path) -> None:
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")
    found = carry_out(arrangement, seconds, seed, tmp_path / "lives")
    assert found.problems == [], found
    assert found.counts["watched"] >= 1, found  # that is: what a run had was looked at, and looked at again
    assert found.counts["ended"] + found.counts["interrupted"] + found.counts["killed"] >= 2, found
    assert found.counts["clean-up killed"] + found.counts["nothing to clean"] + found.counts["cleaned"] >= 6, found
