"""Names of ALTO: which there can be (RFC 7285, section 10)."""

from __future__ import annotations

import pytest

from testbed.alto import names


@pytest.mark.parametrize("name", ["PID1", "a", "x" * 64, "net-1:east@core_2"])
def test_a_pid_name_is_64_letters_digits_and_four_signs(name: str) -> None:
    assert names.is_pid_name(name) and names.is_resource_id(name)


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "ü", "a/b", "a\n", "PID.1"])
def test_other_names_are_no_pid_names_and_the_dot_is_reserved(name: str) -> None:
    assert not names.is_pid_name(name)


def test_a_pid_name_of_another_server_may_have_the_dot_that_an_extension_uses() -> None:
    assert names.is_received_pid_name("PID.1") and not names.is_received_pid_name("PID 1")


def test_a_tag_is_64_visible_characters() -> None:
    assert names.is_tag("!~" * 32)
    assert not any(map(names.is_tag, ("", "x" * 65, "a b", "\x7f", "é")))


def test_an_address_type_is_letters_and_digits() -> None:
    assert names.is_address_type("ipv4") and not names.is_address_type("ip-v4") and not names.is_address_type("")


def test_a_cost_metric_is_32_characters_and_a_private_one_has_a_name() -> None:
    assert all(map(names.is_cost_metric, ("routingcost", "priv:x", "delay-ow:p99.9", "x" * 32)))
    assert not any(map(names.is_cost_metric, ("", "priv:", "x" * 33, "a@b", "a b")))


def test_a_property_is_global_or_that_of_a_resource() -> None:
    assert all(map(names.is_property, ("pid", "priv:ietf-example-prop", "my-map.pid", "my@map.priv:x")))
    assert not any(map(names.is_property, ("", "priv:", ".pid", "my.map.pid", "my-map.", "my-map.priv:", "x" * 33)))
    assert names.resource_of("my-map.pid") == "my-map" and names.resource_of("pid") is None
