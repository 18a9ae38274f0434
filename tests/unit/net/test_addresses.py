"""Addresses that are looked up often are like any others."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from testbed.net import addresses


@pytest.mark.parametrize("text", ["10.1.0.7", "2001:db8::7"])
def test_an_address_of_octets_is_equal_to_any_that_is_the_same(text: str) -> None:
    plain = ip_address(text)
    frequent = addresses.of_octets(plain.packed)
    assert (frequent, hash(frequent), str(frequent)) == (plain, hash(plain), text)
    assert {plain: 1}[frequent] == {frequent: 1}[plain] == 1
    assert frequent in ip_network(text)
    assert (frequent + 1, str(frequent + 1), hash(frequent + 1)) == (plain + 1, str(plain + 1), hash(plain + 1))
    assert addresses.of_octets(plain.packed) is frequent
