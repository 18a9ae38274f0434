"""Lines of the connection tracker as Open vSwitch prints them."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.linux import kernel_conntrack, ovs_conntrack
from testbed.linux.ovs_conntrack import Connection, Conntrack, ConntrackError, Usage, parse

_TCP = (
    "tcp,orig=(src=10.1.0.10,dst=203.0.113.10,sport=33501,dport=80),reply=(src=10.3.0.10,dst=10.1.0.10,sport=80,"
    "dport=33501),zone=4242,timeout=29,mark=15314,protoinfo=(state=TIME_WAIT)"
)
_ICMP = (
    "icmpv6,orig=(src=fd00::a,dst=fd00:5::10,id=7,type=128,code=0),reply=(src=fd00::b,dst=fd00::a,id=7,type=129,"
    "code=0),zone=1,timeout=5"
)


def test_a_connection_is_read_with_who_answers_it() -> None:
    client, d_sid, d_bid = map(ip_address, ("10.1.0.10", "203.0.113.10", "10.3.0.10"))
    assert parse(_TCP) == Connection("tcp", client, d_sid, 33501, 80, d_bid, 29, 15314)


def test_a_ping_has_no_ports() -> None:
    read = parse(_ICMP)
    assert read is not None
    assert (read.src_port, read.dst_port, str(read.answered_by), read.mark) == (None, None, "fd00::b", 0)
    assert read.tuple == "ct_ipv6_src=fd00::a,ct_ipv6_dst=fd00:5::10,ct_nw_proto=58"


def test_a_connection_is_named_by_what_the_client_sent() -> None:
    read = parse(_TCP)
    assert read is not None
    assert read.tuple == "ct_nw_src=10.1.0.10,ct_nw_dst=203.0.113.10,ct_nw_proto=6,ct_tp_src=33501,ct_tp_dst=80"


@given(st.text())
def test_any_other_line_is_none(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize(
    ("answers", "usage"),
    [
        ({"nconns": "3\n", "maxconns": "10\n"}, Usage(3, 10)),
        ({"nconns": "3\n"}, None),
        ({"nconns": "3\n", "maxconns": "unlimited\n"}, None),
    ],
)
def test_how_full_the_table_is(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], usage: Usage | None) -> None:
    def appctl(command: str, datapath: str) -> str:
        assert datapath == "netdev@ovs-netdev"
        asked = command.removeprefix("dpctl/ct-get-")
        if asked not in answers:
            raise ConntrackError(f"ovs-appctl {command}: not supported")
        return answers[asked]

    monkeypatch.setattr(ovs_conntrack, "_appctl", appctl)
    assert Conntrack("netdev").usage() == usage


def test_it_says_how_full_the_table_is() -> None:
    assert str(Usage(3, 10)) == "3 of 10 entries"


_KERNEL = """\
entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error
0000001f  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 0000000a 00000000 00000000
0000001f  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000011 00000000 00000000
"""


def test_of_its_own_datapath_the_kernel_says_how_full_the_table_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in (("STATISTICS", _KERNEL), ("LIMIT", "65536\n")):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(kernel_conntrack, name, tmp_path / name)
    assert Conntrack("system").usage() == Usage(31, 65536)
    assert Conntrack("system").refused() == 9 + 17


def test_a_kernel_that_does_not_say_has_refused_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernel_conntrack, "STATISTICS", tmp_path / "none")
    monkeypatch.setattr(kernel_conntrack, "LIMIT", tmp_path / "none")
    assert (Conntrack("system").refused(), Conntrack("system").usage()) == (0, None)
