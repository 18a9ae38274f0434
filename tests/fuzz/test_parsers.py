"""No octets end what parses them, hold it up or stay in its memory.

Briefly in each run of the tests, always the same; at length by
`python -m pytest tests/fuzz -m slow --fuzz-seconds 600`, other octets each time.
"""

from __future__ import annotations

import time
from random import Random

import pytest

from tests.fuzz.mutation import Mutator
from tests.fuzz.parsers import PARSERS
from tests.fuzz.search import Limits, search

_BRIEF = 1000  # examples


@pytest.mark.parametrize("name", PARSERS)
def test_good_octets_are_taken(name: str) -> None:
    for seed in PARSERS[name].seeds:
        PARSERS[name].take(seed)


@pytest.mark.parametrize("name", PARSERS)
def test_octets_that_are_nearly_good_do_no_harm(name: str) -> None:
    parser = PARSERS[name]
    search(parser.take, Mutator(parser.seeds, Random(1)).octets, Limits(examples=_BRIEF))


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_octets_do_no_harm_for_as_long_as_one_wants(
    name: str, fuzz_seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    parser, seed = PARSERS[name], time.time_ns()
    count = search(parser.take, Mutator(parser.seeds, Random(seed)).octets, Limits(seconds=fuzz_seconds))
    with capsys.disabled():
        print(f"\n{name}: {count} inputs in {fuzz_seconds:g} s (seed {seed})")
