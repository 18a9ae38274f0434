"""What an ALTO server is to say that is not so: of faults, which cannot make it lie from outside.

It reads this from a file on SIGHUP, and removes the file when it has. What follows from wrong delays is said by
`testbed.alto.reports.wrong_costs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from testbed.alto.reports.wrong_costs import WrongDelay
from testbed.records.file_names import file_name
from testbed.runtime.document import Document


@dataclass(frozen=True)
class Falsehood(Document):
    """Nothing, as it is made."""

    costs: Literal["present", "former"] = "present"
    """Former: it serves what it knew when this began, whatever is reported."""
    delays: tuple[WrongDelay, ...] = ()
    """Delays that it says wrongly."""


def falsehood_path(out_dir: Path, name: str) -> Path:
    """Return the file that a server reads."""
    return out_dir / f"{file_name(name)}.falsehood"


__all__ = ["Falsehood", "WrongDelay", "falsehood_path"]
