"""Queues in virtual time: the seed says everything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SIMULATE = """
from testbed.simulation.network import FOUR_SITES
from testbed.simulation.steered_queues import SteeredQueues
queues = SteeredQueues(FOUR_SITES, "least_loaded", interval_s=1.0, seed=1)
queues.run(until_s=6.0)
print(*queues.served, sep="\\n")
"""


def test_a_seed_gives_the_same_requests_in_every_process() -> None:
    # Sets of addresses have another order in each, as their hashes are drawn again.
    outputs = [
        subprocess.run(
            [sys.executable, "-c", SIMULATE],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout
        for hash_seed in ("0", "1")
    ]  # fmt: skip
    assert outputs[0].count("\n") > 100
    assert outputs[0] == outputs[1]
