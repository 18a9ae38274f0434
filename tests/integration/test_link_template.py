"""The template of a link backend, put into place as CONTRIBUTING.md says, makes links of the rate asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.templates import Copy

pytestmark = pytest.mark.root

USE = """
import json
from testbed.emulation.links.links import LinkEnd, LinkError, LinkRequest, create_links
from testbed.emulation.netns.namespaces import Namespace
from topologies.spec import LinkSpec

def request(a, b, spec):
    return LinkRequest(LinkEnd(a.pid, "to-b"), LinkEnd(b.pid, "to-a"), spec, "a-b")

with Namespace() as a, Namespace() as b:
    links = create_links([request(a, b, LinkSpec(rate_mbps=5))], "tbf")
    for node, name, address in ((a, "to-b", "10.9.0.1/24"), (b, "to-a", "10.9.0.2/24")):
        node.run(["ip", "address", "add", address, "dev", name])
    a.run(["ping", "-c", "1", "-W", "2", "10.9.0.2"])
    kinds = [json.loads(node.run(["tc", "-j", "qdisc", "show"])) for node in (a, b)]
    print([item["options"]["rate"] * 8 for shown in kinds for item in shown if item["kind"] == "tbf"], links.name)
    links.close()
with Namespace() as a, Namespace() as b:
    try:
        create_links([request(a, b, LinkSpec(delay_ms=5))], "tbf")
    except LinkError as error:
        print(error)
"""


def test_the_template_limits_the_rate_both_ways_and_refuses_a_delay(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.place("link_backend.py", "testbed/emulation/links/tbf_link.py")
    registry = "testbed/emulation/links/links.py"
    imported = "from testbed.emulation.links.tbf_link import TokenBucketLinks"
    copy.add(imported, to=registry, after="from testbed.emulation.links.relay_link import RelayLinks", said=False)
    copy.add('"tbf": TokenBucketLinks,', to=registry, after="BACKENDS")
    rates, refused = copy.python("-c", USE).splitlines()
    assert rates == "[5000000, 5000000] tbf"
    assert "tbf limits the rate alone" in refused
