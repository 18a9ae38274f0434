"""Names for hosts that a scenario only counts. Pure."""

from __future__ import annotations

from collections.abc import Collection


def fresh_names(kind: str, site: str, count: int, taken: Collection[str]) -> list[str]:
    """Return `count` names like client-1@berlin that nothing else bears."""
    names: list[str] = []
    number = 0
    while len(names) < count:
        number += 1
        name = f"{kind}-{number}@{site}"
        if name not in taken:
            names.append(name)
    return names
