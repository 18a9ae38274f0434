"""Words of errors: whether one says the same thing twice, as where two places put it in front of what went wrong."""

from __future__ import annotations

import re
from itertools import pairwise

_PARTS = re.compile(r": | \(")


def stutters(said: str) -> bool:
    """Say whether a part of an error follows upon itself or a sentence about it, as in `x failed: x: full`."""
    parts = [part.strip() for part in _PARTS.split(said)]
    return any(part and (former == part or former.startswith(f"{part} ")) for former, part in pairwise(parts))
