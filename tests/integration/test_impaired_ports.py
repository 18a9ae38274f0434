"""What impairs a link that ends at a bridge stays there, whatever Open vSwitch does with the port."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

from testbed.emulation.machine.capabilities import Capabilities, probe
from tests.machine import CHECKOUT

pytestmark = pytest.mark.root

# An Open vSwitch of its own, in namespaces of its own: it is started again, which would cut the networks of other runs.
_ALONE = """
mount --make-rprivate /
for folder in /run /etc/openvswitch /var/lib/openvswitch /var/log/openvswitch; do
    [ ! -d $folder ] || mount -t tmpfs tmpfs $folder
done
ip link set lo up
"$@"
code=$?
/usr/share/openvswitch/scripts/ovs-ctl stop >/dev/null 2>&1
exit $code
"""
_SCRIPT = """
import json, subprocess, sys
from testbed.emulation.machine.capabilities import start_open_vswitch
from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches import bridges

datapath, *discipline = sys.argv[1:]
tag = RunTag("0af9")
port, cut = tag.port(0), tag.port(1)
bridge = bridges.Bridge(tag.bridge(0), 1, uplink_port=1, ports={"host": 2}, interfaces={1: port, 2: cut})

def impair(port, *words):
    subprocess.run(["tc", "qdisc", "replace", "dev", port, "root", *words], check=True)

def disciplines():
    return {name: subprocess.check_output(["tc", "qdisc", "show", "dev", name], text=True).split()[1]
            for name in (port, cut)}

def restarted():
    subprocess.run(["/usr/share/openvswitch/scripts/ovs-ctl", "restart"], check=True, capture_output=True)

start_open_vswitch()
for name in (port, cut):
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}x"], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
impair(port, *discipline)
seen = {}
bridges.create_bridges([bridge], tag, datapath_type=datapath)
seen["taken"] = disciplines()
impair(cut, "blackhole")
bridges.vsctl("set", "Bridge", bridge.name, "other_config:mac-aging-time=31")
seen["set up again"] = disciplines()
restarted()
seen["Open vSwitch started again"] = disciplines()
bridges.delete_bridges([bridge.name])
seen["left"] = disciplines()
bridges.create_bridges([bridge], tag, datapath_type=datapath)
seen["taken again"] = disciplines()
bridges.vsctl("del-br", bridge.name)  # by somebody else, who knows nothing of its ports' queues
bridges.delete_bridges([bridge.name])
seen["rows"] = bridges.vsctl("--bare", "--columns=type", "list", "QoS")
print(json.dumps(seen))
"""


@cache
def _capabilities() -> Capabilities:
    return probe()


@pytest.mark.parametrize("datapath", ["system", "netdev"])
@pytest.mark.parametrize("discipline", ["netem delay 10ms", "tbf rate 10mbit burst 10kb latency 10ms"])
def test_the_port_of_a_bridge_keeps_its_queueing_discipline(datapath: str, discipline: str) -> None:
    kind = discipline.split()[0]
    for needed in (f"datapath_{datapath}", kind):
        if not _capabilities().has(needed):
            pytest.skip(f"capability {needed} is missing: {_capabilities().row(needed).detail}")
    done = subprocess.run(
        ["unshare", "-n", "-m", "-p", "-f", "--kill-child", "--mount-proc", "sh", "-c", _ALONE, "sh",
         sys.executable, "-c", _SCRIPT, datapath, *discipline.split()],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen.pop("rows").split() == []
    for moment, (port, cut) in ((moment, tuple(found.values())) for moment, found in seen.items()):
        assert port == kind, moment
        assert cut == ("blackhole" if moment != "taken" else "noqueue"), moment
