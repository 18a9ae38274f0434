"""Results belong to who called sudo, as the launcher names them in DYNCAST_OWNER (uid:gid)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def give_to_caller(run_dir: Path) -> None:
    """Hand the results to who called sudo, as the launcher names them in DYNCAST_OWNER (uid:gid)."""
    give((run_dir.parent, run_dir, *run_dir.rglob("*")))


def give(paths: Iterable[Path]) -> None:
    """Hand these to who called sudo."""
    uid, _, gid = os.environ.get("DYNCAST_OWNER", "").partition(":")
    if uid.isdigit() and gid.isdigit():
        for path in paths:
            os.chown(path, int(uid), int(gid), follow_symlinks=False)  # a program may have left some
