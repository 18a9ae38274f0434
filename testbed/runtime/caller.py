"""Whoever called the testbed: environment and user, for programs that are not its own; and how its own are started.

Owns what the launcher (`dyncast`) notes down of the caller: it needs a longer PATH, and says whose the results are.
Nothing else of the testbed's stands in the environment: its own Python programs are kept from modules of the folder
that one stands in by Python's isolated mode. Stdlib only.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import sys
from typing import NamedTuple

PATH_VARIABLE = "DYNCAST_CALLER_PATH"  # the caller's PATH, empty for none; absent where no launcher was
OWNER_VARIABLE = "DYNCAST_OWNER"


def environment() -> dict[str, str]:
    """Return the environment of whoever called."""
    variables = dict(os.environ)
    variables.pop(OWNER_VARIABLE, None)
    path = variables.pop(PATH_VARIABLE, None)
    if path is not None:
        variables["PATH"] = path
    if path == "":
        del variables["PATH"]
    return variables


class User(NamedTuple):
    """The user who called sudo, by numbers."""

    uid: int
    gid: int


def sudo_user() -> User | None:
    """Return who called sudo, if this process is root by it; None for root itself, and for everybody else."""
    uid, _, gid = os.environ.get(OWNER_VARIABLE, "").partition(":")
    is_somebody = uid.isdigit() and gid.isdigit() and int(uid) != 0
    return User(int(uid), int(gid)) if is_somebody and os.geteuid() == 0 else None


def run_as(user: User | None) -> list[str]:
    """Return what starts a command as a user, with the groups of that one and no privilege; nothing for None."""
    if user is None:
        return []
    groups = [item.gr_gid for item in grp.getgrall() if _name(user) in item.gr_mem]
    of_groups = f"--groups={','.join(map(str, [user.gid, *groups]))}"
    program = shutil.which("setpriv") or "setpriv"
    # A process that becomes another user's forgets at which signal of its parent it should end.
    return [program, f"--reuid={user.uid}", f"--regid={user.gid}", of_groups, "--pdeathsig=TERM", "--"]


def home_of(user: User | None) -> dict[str, str]:
    """Return the variables that say who a user is, which sudo has changed."""
    if user is None or not _name(user):
        return {}
    return {"HOME": pwd.getpwuid(user.uid).pw_dir, "USER": _name(user), "LOGNAME": _name(user)}


def _name(user: User) -> str:
    try:
        return pwd.getpwuid(user.uid).pw_name
    except KeyError:  # a number that has no name here, as in containers
        return ""


def search_path() -> str:
    """Return where programs of whoever called are looked for."""
    return environment().get("PATH", os.defpath)


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the testbed, isolated as this process is."""
    return [sys.executable, *(["-I"] if sys.flags.isolated else []), "-m", module, *arguments]
