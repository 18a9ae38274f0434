"""What a cluster holds: room for blobs, and which go for others."""

from __future__ import annotations

import pytest

from testbed.faas.delivery.blobs import Blob
from testbed.faas.delivery.holdings import Holdings, StoreFull, User
from tests.delivery_samples import blob

ONE, TWO, THREE = (blob(bytes([number]) * 40) for number in (1, 2, 3))
ECHO, DETECT = User("function", "echo"), User("function", "detect")


def used(*pairs: tuple[User, Blob]) -> Holdings:
    holdings = Holdings(100)
    for user, wanted in pairs:
        holdings.use(user, [wanted])
    return holdings


def test_a_blob_that_two_use_is_held_once() -> None:
    holdings = used((ECHO, ONE), (DETECT, ONE))
    assert (holdings.octets, holdings.used_octets) == (40, 40)
    holdings.release(ECHO)
    assert holdings.used_octets == 40
    holdings.release(DETECT)
    assert (holdings.octets, holdings.used_octets) == (40, 0)


def test_what_nobody_uses_for_longest_goes_first() -> None:
    holdings = used((ECHO, ONE), (DETECT, TWO), (DETECT, ONE))
    holdings.release(ECHO)
    holdings.release(DETECT)
    assert holdings.use(ECHO, [THREE]) == [TWO]
    assert ONE in holdings


def test_what_is_in_use_stays_and_the_refusal_changes_nothing() -> None:
    holdings = used((ECHO, ONE), (DETECT, TWO))
    holdings.release(DETECT)
    with pytest.raises(StoreFull, match="no room"):
        holdings.use(DETECT, [THREE, blob(b"4" * 40)])
    assert TWO in holdings and THREE not in holdings


def test_what_is_worked_on_stays() -> None:
    holdings = used((ECHO, ONE), (DETECT, TWO))
    holdings.release(DETECT)
    with pytest.raises(StoreFull):
        holdings.use(DETECT, [THREE], lasting=[TWO])


def test_a_user_may_keep_some() -> None:
    holdings = Holdings(100)
    holdings.use(ECHO, [ONE, TWO])
    holdings.release(ECHO, kept=[TWO])
    assert list(holdings.users(ONE)) == [] and list(holdings.users(TWO)) == [ECHO]


def test_what_was_found_beyond_the_bound_goes() -> None:
    holdings = Holdings(100)
    assert holdings.take_in([ONE, TWO, THREE]) == [ONE]
    assert holdings.octets == 80
