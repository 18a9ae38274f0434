"""The commands that make and impair kernel links, to the letter."""

from __future__ import annotations

import pytest

from testbed.emulation.links.backend import LinkEnd, LinkRequest
from testbed.emulation.links.netem_link import tc_commands
from testbed.emulation.links.veth import creation
from topologies.spec import LinkSpec

NETEM = "qdisc replace dev eth0 root netem"


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        (LinkSpec(delay_ms=10), f"{NETEM} limit 100000 delay 10000us"),
        (LinkSpec(delay_ms=0.25), f"{NETEM} limit 100000 delay 250us"),
        (LinkSpec(loss_percent=0.5), f"{NETEM} limit 100000 loss random 0.5%"),
        # 10 ms of 12.112 Mbit/s are 10 full frames, which netem counts beside the 1000 in the queue.
        (LinkSpec(delay_ms=10, rate_mbps=12.112), f"{NETEM} limit 1010 delay 10000us rate 12112000bit"),
        (LinkSpec(rate_mbps=10, queue_packets=50), f"{NETEM} limit 50 rate 10000000bit"),
        # Jitter alone would let packets overtake one another.
        (LinkSpec(delay_ms=10, jitter_ms=2), f"{NETEM} limit 100000 delay 10000us 2000us rate 100000000000bit"),
        (
            LinkSpec(delay_ms=10, jitter_ms=2, loss_percent=1, rate_mbps=100, queue_packets=200),
            f"{NETEM} limit 300 delay 10000us 2000us loss random 1% rate 100000000bit",
        ),
    ],
)
def test_one_netem_says_it_all(spec: LinkSpec, command: str) -> None:
    assert tc_commands("eth0", spec) == [command]


def test_a_plain_link_has_no_discipline() -> None:
    assert tc_commands("eth0", LinkSpec(queue_packets=5)) == []


def test_both_ends_of_a_pair_are_made_in_their_namespaces_under_their_names() -> None:
    request = LinkRequest(LinkEnd(4711, "eth0", "02:00:00:00:00:01"), LinkEnd(None, "dy12ab-p0"), LinkSpec(), "a - b")
    assert creation([request]) == [
        "link add name eth0 address 02:00:00:00:00:01 netns /proc/4711/ns/net type veth peer name dy12ab-p0"
    ]
