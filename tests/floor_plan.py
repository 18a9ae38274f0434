"""The floor plan in CONTRIBUTING.md: rooms with the line that each says of itself, and the floors of pyproject.toml.

.venv/bin/python -m tests.floor_plan        writes it again
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
PACKAGES = ("testbed", "ryu_apps", "traffic", "topologies")
BEGIN, END = "<!-- floor plan, written by tests/floor_plan.py -->\n", "<!-- end of the floor plan -->\n"
_COLUMN = 26


def rooms(folder: Path) -> Iterator[Path]:
    """Return a package and all packages in it, each before what is in it."""
    yield folder
    for inner in sorted(folder.iterdir()):
        if (inner / "__init__.py").exists():
            yield from rooms(inner)


def line(room: Path) -> str:
    """Return what a room says of itself, in its first sentence."""
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=[.;])\s|;|: one (?:file|folder)", said.replace("\n", " "))[0].rstrip(".;")


def tree() -> str:
    """Return the rooms with their lines."""
    lines = []
    for room in (room for package in PACKAGES for room in rooms(ROOT / package)):
        depth = len(room.relative_to(ROOT).parts) - 1
        lines.append(f"{'  ' * depth + room.name + '/':{_COLUMN}}{line(room)}")
    return "```\n" + "\n".join(lines) + "\n```\n"


def floors() -> list[str]:
    """Return the floors of the contract in pyproject.toml, from the top down."""
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split('type = "layers"', 1)[1]
    return re.findall(r'"([^"]+)"', contract.split("]", 1)[0])


def drawing() -> str:
    """Return the floors, numbered from the ground up."""
    numbered = enumerate(reversed(floors()))
    lines = [f"  {number}   {floor.replace(' | ', '   ')}" for number, floor in numbered]
    return "```\n" + "\n".join(reversed(lines)) + "\n```\n"


def plan() -> str:
    """Return what stands between the marks."""
    return f"{drawing()}\n{tree()}"


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + plan() + END + rest.split(END)[1], encoding="utf-8")
