"""Containers as tests make them: commands with processes, mounts and a register of runs of their own.

`APART` has its own network and Open vSwitch, too; those that are `TOGETHER` on a machine share the machine's.
"""

from __future__ import annotations

from collections.abc import Sequence

from testbed.cli.machine import isolation

APART, TOGETHER = "apart", "together"
ARRANGEMENTS = (TOGETHER, APART)
_REGISTER_OF_ITS_OWN = """
mkdir -p /run/dyncast && mount -t tmpfs none /run/dyncast
"$@"
exit $?
"""


def contained(arrangement: str, command: Sequence[str]) -> list[str]:
    """Return the command that runs a command in a container, which ends with it."""
    if arrangement == APART:
        return isolation.isolated(command)
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    # Not `exec`: the first process of a container has to reap orphans, as a shell does.
    return [*own, "sh", "-c", _REGISTER_OF_ITS_OWN, "sh", *command]
