"""Open vSwitch is started without harm to a database that somebody else runs: a second one would take its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers import TOGETHER, contained

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
CTL = "/usr/share/openvswitch/scripts/ovs-ctl"
STARTERS = {
    "launcher": f"source {ROOT}/dyncast; log=/run/log; start_open_vswitch",
    "doctor": f"cd {ROOT} && {sys.executable} -c "
    "'from testbed.emulation.machine.capabilities import start_open_vswitch as s; print(s())'",
}
# Outside: a machine of its own with a database and no switch daemon. Inside: a container that shares it.
OUTSIDE = f"""
set -e
for folder in /run /etc/openvswitch /var/log/openvswitch /var/lib/openvswitch; do mount -t tmpfs none $folder; done
mkdir -p /run/openvswitch
ip link set lo up
{CTL} --no-ovs-vswitchd start --system-id=random >/run/started 2>&1
ovs-vsctl --no-wait set Open_vSwitch . external_ids:of=somebody
rm /run/openvswitch/ovsdb-server.pid  # of a container that was handed the socket alone
before=$(stat -c %i /run/openvswitch/db.sock)
unshare --pid --mount --fork --mount-proc bash -c 'for folder in /etc/openvswitch /var/lib/openvswitch; do
    mount -t tmpfs none $folder; done; eval "$1"' bash "$1" >/run/said 2>&1 || cat /run/said
[ "$before" = "$(stat -c %i /run/openvswitch/db.sock)" ] || echo "another database"
ovs-vsctl --timeout=5 get Open_vSwitch . external_ids:of
"""


@pytest.mark.parametrize("starter", STARTERS)
def test_a_living_database_stays(starter: str) -> None:
    own = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*own, "bash", "-c", OUTSIDE, "bash", STARTERS[starter]], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "somebody\n"), done.stderr


@pytest.mark.parametrize(
    "asked",
    [
        f"source {ROOT}/dyncast; open_vswitch_runs && echo it runs",
        f"cd {ROOT} && {sys.executable} -c 'from testbed.emulation.machine.capabilities import open_vswitch_runs as r; "
        'print(*["it runs"] * r())\'',
    ],
    ids=["launcher", "doctor"],
)
def test_a_switch_daemon_is_found_from_a_container_that_does_not_see_its_process(asked: str) -> None:
    done = subprocess.run(contained(TOGETHER, ["bash", "-c", asked]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "it runs\n"), done.stderr
