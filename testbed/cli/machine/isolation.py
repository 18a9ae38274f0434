"""A command on a machine of its own: namespaces for network, mounts and processes, a `/run` and an Open vSwitch.

So the tests that make networks run side by side, without meeting each other or what else runs here. Everything in it
ends with the command. `python -m testbed.cli.machine.isolation …` is a Python that runs so. Root alone can do it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache

_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_FOLDERS = "/run /etc/openvswitch /var/log/openvswitch /var/lib/openvswitch"
# /sys shows the network interfaces of the namespace in which it was mounted; control groups are those of the machine.
_SET_UP = f"""
set -e
mount --make-rprivate /
groups=$(mktemp -d)
mount --rbind /sys/fs/cgroup $groups
mount -t sysfs sysfs /sys && mount --rbind $groups /sys/fs/cgroup
umount -l $groups
rmdir $groups
names=$(cat /etc/resolv.conf 2>/dev/null || true)
resolver=$(readlink -m /etc/resolv.conf)
for folder in {_FOLDERS}; do [ ! -d $folder ] || mount -t tmpfs tmpfs $folder; done
mkdir -p /run/netns /run/lock /run/openvswitch
case $resolver in /run/*) mkdir -p "$(dirname "$resolver")"; echo "$names" >"$resolver" ;; esac
ip link set lo up
"$0" -c 'from testbed.emulation.machine.capabilities import start_open_vswitch as start; start()'
# Not `exec`: the first process of a namespace has to reap orphans, as a shell does.
"$@"
exit $?
"""

_PR_SET_PDEATHSIG = 1
INTERPRETER = (sys.executable, "-m", "testbed.cli.machine.isolation")


def isolated(command: Sequence[str]) -> list[str]:
    """Return the command that runs a command so."""
    return [*_UNSHARE, "sh", "-c", _SET_UP, sys.executable, *command]


@cache
def is_possible() -> bool:
    """Return whether this machine and user can."""
    try:
        return subprocess.run(isolated(["true"]), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _become(arguments: Sequence[str]) -> None:
    """Become an isolated Python that is killed when the process that started this one ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    command = isolated([sys.executable, *arguments])
    os.execvp(command[0], command)


if __name__ == "__main__":
    _become(sys.argv[1:])
