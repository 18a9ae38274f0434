"""Temporary folders that outlive nobody: gone with the block, or by the next clean-up if its process is killed in it.

Owns their names, which say whose they are, and the search for those whose process is proved dead. Knows nothing of what
is in them.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.emulation.run_owner import RunOwner, start_ticks

_NAME = re.compile(r"dyncast-[a-z]+-(\d+)-(\d+)-(\d+)-\w+")


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Have a folder of this process for the block."""
    owner = RunOwner.this_process()
    whose = f"{owner.pid_namespace}-{owner.pid}-{owner.start_ticks}"
    with tempfile.TemporaryDirectory(prefix=f"dyncast-{purpose}-{whose}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def remove_abandoned() -> None:
    """Remove the folders of processes of this PID namespace that are dead; of others nothing is proved here."""
    here = RunOwner.this_process().pid_namespace
    for path in Path(tempfile.gettempdir()).glob("dyncast-*"):
        owner = _NAME.fullmatch(path.name)
        if owner is not None and int(owner[1]) == here and start_ticks(int(owner[2])) != int(owner[3]):
            shutil.rmtree(path, ignore_errors=True)  # it follows no link
