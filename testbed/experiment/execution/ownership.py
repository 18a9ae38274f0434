"""Results belong to who called sudo, as the launcher names them in DYNCAST_OWNER (uid:gid)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def change_owner_of_run(run_dir: Path) -> None:
    """Hand the results to who called sudo, as the launcher names them in DYNCAST_OWNER (uid:gid)."""
    change_owner((run_dir.parent, run_dir, *run_dir.rglob("*")))


def change_owner(paths: Iterable[Path]) -> None:
    """Hand these to who called sudo."""
    uid, _, gid = os.environ.get("DYNCAST_OWNER", "").partition(":")
    if uid.isdigit() and gid.isdigit():
        for path in paths:
            os.chown(path, int(uid), int(gid), follow_symlinks=False)  # a program may have left some
