"""Network maps: the PID of an address, complete coverage, tags, filters (RFC 7285, sections 5 and 11.2)."""

from __future__ import annotations

import pytest

from testbed.alto.errors import AltoDataError
from testbed.alto.maps.network_map import NetworkMap, PIDs

EVERYTHING: PIDs = {"PID0": {"ipv6": ["::/0"]}, "PID1": {"ipv4": ["0.0.0.0/0"]}}
NESTED = {
    **EVERYTHING,
    "PID2": {"ipv4": ["192.0.2.0/24", "198.51.100.0/24"]},
    "PID3": {"ipv4": ["192.0.2.0/25", "192.0.2.128/25"]},
}


def made(pids: PIDs) -> NetworkMap:
    return NetworkMap("my-map", pids)


@pytest.mark.parametrize(
    ("address", "pid"),
    [
        ("ipv4:192.0.2.1", "PID3"),  # the RFC's own example (11.2.2)
        ("ipv4:192.0.2.255", "PID3"),
        ("ipv4:198.51.100.7", "PID2"),
        ("ipv4:203.0.113.1", "PID1"),
        ("ipv6:2001:db8::1", "PID0"),
        ("ipv6:2001:DB8:0:0:0:0:0:1", "PID0"),
        ("ipv4:192.0.2.256", None),
        ("ipv4:192.0.02.1", None),
        ("192.0.2.1", None),
        ("ipv6:fe80::1%eth0", None),
        ("mac48:00-00-5E-00-53-01", None),
    ],
)
def test_the_longest_prefix_says_which_pid_an_address_is_in(address: str, pid: str | None) -> None:
    assert made(NESTED).pid_of(address) == pid


def test_the_rfcs_example_whose_prefixes_overlap_is_refused() -> None:
    with pytest.raises(AltoDataError, match=r"my-map: ipv4:192\.0\.2\.0/24 is in PID2 and in PID3"):
        made({**NESTED, "PID3": {"ipv4": ["192.0.2.0/24"]}})


def test_a_prefix_may_stand_twice_in_one_pid_and_is_said_once() -> None:
    network_map = made({"PID1": {"ipv6": ["2001:db8::/32", "2001:DB8:0::/32"]}})
    assert network_map.pids["PID1"]["ipv6"] == ("2001:db8::/32",)


@pytest.mark.parametrize(
    ("pids", "gap"),
    [
        ({"A": {"ipv4": ["0.0.0.0/1"]}}, "128.0.0.0/32"),
        ({"A": {"ipv4": ["128.0.0.0/1"]}}, "0.0.0.0/32"),
        ({"A": {"ipv4": ["0.0.0.0/0"], "ipv6": ["2001:db8::/32"]}}, "::/128"),
        ({"A": {"ipv4": ["0.0.0.0/2", "128.0.0.0/1"]}}, "64.0.0.0/32"),
    ],
)
def test_a_map_that_leaves_addresses_out_is_not_complete(pids: PIDs, gap: str) -> None:
    with pytest.raises(AltoDataError, match=f"my-map: {gap} is in no PID; give .*/0 to one"):
        made(pids).check_complete()


@pytest.mark.parametrize("pids", [EVERYTHING, NESTED, {"A": {"ipv4": ["0.0.0.0/1"]}, "B": {"ipv4": ["128.0.0.0/1"]}}])
def test_a_map_that_has_all_addresses_of_its_types_is_complete(pids: PIDs) -> None:
    made(pids).check_complete()


@pytest.mark.parametrize(
    ("pids", "reason"),
    [
        ({"PID 1": {"ipv4": ["0.0.0.0/0"]}}, "'PID 1' is no PID name"),
        ({"PID1": {"ipv4": ["192.0.2.1/24"]}}, "PID1: '192.0.2.1/24' is no ipv4 prefix"),
        ({"PID1": {"ipv4": ["192.0.2.1"]}}, "is no ipv4 prefix"),
        ({"PID1": {"ipv4": ["192.0.2.0/33"]}}, "is no ipv4 prefix"),
        ({"PID1": {"ipv4": ["192.0.2.0/255.255.255.0"]}}, "is no ipv4 prefix"),
        ({"PID1": {"ipv6": ["0.0.0.0/0"]}}, "is no ipv6 prefix"),
        ({"PID1": {"ip-v4": ["0.0.0.0/0"]}}, "'ip-v4' is no type of address"),
    ],
)
def test_what_cannot_be_in_a_map_is_refused_by_name(pids: PIDs, reason: str) -> None:
    with pytest.raises(AltoDataError, match=reason):
        made(pids)


def test_addresses_of_other_types_are_kept_as_they_are_and_found() -> None:
    network_map = made({**EVERYTHING, "PID9": {"mac48": ["00-00-5E-00-53-01"]}})
    assert network_map.pid_of("mac48:00-00-5E-00-53-01") == "PID9"
    assert network_map.document()["network-map"]["PID9"] == {"mac48": ["00-00-5E-00-53-01"]}


def test_the_tag_is_the_same_for_the_same_content_in_another_order() -> None:
    turned = {pid: {kind: [*NESTED[pid][kind]][::-1] for kind in NESTED[pid]} for pid in reversed(NESTED)}
    assert made(NESTED).tag == made(turned).tag and made(NESTED) == made(turned)


def test_the_tag_changes_with_the_content() -> None:
    contents: list[PIDs] = [
        NESTED,
        EVERYTHING,
        {**EVERYTHING, "PID2": {}},
        {**EVERYTHING, "PID2": {"ipv4": []}},
        {**EVERYTHING, "PID2": {"ipv4": ["192.0.2.0/24"]}},
        {**EVERYTHING, "PID3": {"ipv4": ["192.0.2.0/24"]}},
        {**EVERYTHING, "PID2": {"ipv4": ["192.0.2.0/25"]}},
    ]
    assert len({made(pids).tag for pids in contents}) == len(contents)
    assert made(NESTED) != NetworkMap("other-map", NESTED)


def test_a_filter_leaves_what_it_asks_for_and_passes_over_what_is_unknown() -> None:
    network_map = made({**NESTED, "PID4": {"ipv4": ["203.0.113.0/24"], "ipv6": ["2001:db8::/32"]}})
    assert network_map.select(["PID4", "PID9", "PID4", "PID0"], ["ipv6", "mac48"]) == {
        "PID4": {"ipv6": ("2001:db8::/32",)},
        "PID0": {"ipv6": ("::/0",)},
    }
    assert network_map.select([], []) == dict(network_map.pids)
    assert network_map.select(["PID9"], []) == {}


def test_the_map_of_another_server_may_have_gaps_and_prefixes_with_bits_too_many() -> None:
    """The RFC's own example of a filtered map has `198.51.100.128/24` (11.3.1.7)."""
    network_map = NetworkMap.received("theirs", {"PID.2": {"ipv4": ["198.51.100.128/24"]}}, "their-tag")
    assert network_map.pid_of("ipv4:198.51.100.3") == "PID.2"
    assert network_map.pid_of("ipv4:192.0.2.1") is None
    assert network_map.vtag.document() == {"resource-id": "theirs", "tag": "their-tag"}


def test_addresses_of_strangers_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    network_map = made({**EVERYTHING, "PID9": {"mac48": ["x" * 100]}})
    assert network_map.pid_of("mac48:" + "x" * 100) == "PID9"
    looked_up: list[str] = []
    monkeypatch.setattr(NetworkMap, "_pid_of", lambda _, address: looked_up.append(address))
    fresh = made(EVERYTHING)
    for address in ("ipv4:192.0.2.1", "mac48:" + "y" * 100) * 2:
        fresh.pid_of(address)
    assert looked_up == ["ipv4:192.0.2.1", "mac48:" + "y" * 100, "mac48:" + "y" * 100]
