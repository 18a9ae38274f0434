"""Which messages a D-Router lets in, beyond whose they are: of no time to come, and no more than it can bear."""

from __future__ import annotations

from random import Random

import pytest

from testbed.dyncast.events import MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.admission import REPORT_RATE
from testbed.dyncast.messages.codec import Message
from testbed.dyncast.messages.control_messages import IngressStatus, Loads, Shares
from testbed.dyncast.messages.reports import Probe, Report
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.monitoring.binding_table import MOST_OF_A_SITE
from testbed.dyncast.nodes.dns_steering import ClientSite, DnsTtl, NameSteering
from testbed.net.token_bucket import Rate
from tests.authentication_samples import AGENT_HERE, node, secure_d_router, signed_report
from tests.dyncast_samples import (
    D_SID,
    FAR,
    HERE,
    NEAR,
    PEER,
    THERE,
    d_router,
    of_kind,
    report_bytes,
    told,
)
from tests.wording import stutters

_HERE = ClientSite(HERE, (), {THERE: 20.0})

_MESSAGES: list[Message] = [
    Probe(THERE, 1, 101.5),
    Probe(THERE, 1, 101.5, is_reply=True),
    Report(HERE, 1, 101.5, (told(NEAR, None),)),
    Shares(THERE, 1, 101.5, ()),
    Loads(HERE, 1, 101.5, (), by_agent=True),
    IngressStatus(THERE, 1, 101.5, (), ()),
]


@pytest.mark.parametrize("message", _MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_of_a_time_to_come_is_refused(message: Message) -> None:
    router = d_router()
    (noted,) = router.on_message(codec.encode(message), PEER.address, 100.0)
    assert isinstance(noted, MetricsReceived)
    assert noted.reason == "postdated: of 1.5 s ahead"
    assert router.counters == {"messages_postdated": 1}
    assert router.bindings.all() == []


@pytest.mark.parametrize("message", _MESSAGES, ids=lambda message: type(message).__name__)
def test_why_a_message_is_refused_is_said_once(message: Message) -> None:
    whole = codec.encode(message)
    for data in (*(whole[:length] for length in range(len(whole))), whole + b"?"):
        (noted,) = of_kind(d_router().on_message(data, PEER.address, 101.5), MetricsReceived)
        assert noted.reason.startswith("malformed: ") and not stutters(noted.reason), noted.reason


def test_a_clock_may_be_a_little_ahead() -> None:
    router = d_router()
    router.on_message(report_bytes(HERE, 1, 100.9, told(NEAR, None)), NEAR, 100.0)
    assert len(router.bindings.all()) == 1


def test_a_signed_report_of_a_time_to_come_cannot_be_kept_for_that_time() -> None:
    postdated = signed_report(node(AGENT_HERE), HERE, 1, 500.0, told(NEAR, None))
    router = secure_d_router()
    router.on_message(postdated, NEAR, 100.0)
    router.on_message(postdated, NEAR, 500.0)
    assert router.counters == {"messages_postdated": 1, "messages_replayed": 1}


def test_of_refused_messages_all_are_counted_and_the_first_few_in_a_second_recorded() -> None:
    router = d_router()
    noted = [router.on_message(b"nonsense", PEER.address, 100.0 + number * 1e-4) for number in range(10_000)]
    assert router.counters == {"messages_malformed": 10_000}
    assert sum(map(len, noted)) == 20 + 10 - 1  # at once, and in a second
    assert len(of_kind(router.on_message(b"nonsense", PEER.address, 102.0), MetricsReceived)) == 1


def test_a_report_counts_as_one_for_each_16_bindings() -> None:
    router = d_router(report_rate=Rate(per_s=1, burst=10))
    bindings = [told(NEAR + number, None) for number in range(100)]
    router.on_message(report_bytes(HERE, 1, 100.0, *bindings), NEAR, 100.0)
    for sequence in range(2, 6):
        router.on_message(report_bytes(HERE, sequence, 100.0, told(NEAR, None)), NEAR, 100.0)
    assert router.counters["reports_rate_limited"] == 1


def test_of_unknown_services_nothing_is_kept() -> None:
    router = d_router()
    strangers = [told(NEAR + number, None, d_sid=D_SID + 1) for number in range(100)]
    noted = router.on_message(report_bytes(HERE, 1, 100.0, *strangers, told(NEAR, None)), NEAR, 100.0)
    assert [binding.d_sid for binding in router.bindings.all()] == [D_SID]
    assert len(of_kind(noted, MetricsReceived)) == 1
    assert router.counters["bindings_not_kept"] == 100


def test_a_site_has_so_many_instances_and_no_more() -> None:
    router = d_router(report_rate=Rate(per_s=1e6, burst=1e6))
    for sequence in range(1, 100):
        bindings = [told(NEAR + 100 * sequence + number, None) for number in range(100)]
        router.on_message(report_bytes(HERE, sequence, 100.0, *bindings), NEAR, 100.0)
    kept = len(router.bindings.all())
    assert MOST_OF_A_SITE <= kept < MOST_OF_A_SITE + 100
    assert router.counters["bindings_not_kept"] == 9900 - kept
    first, stranger = told(NEAR + 100, RawMetrics(4)), told(NEAR, RawMetrics(4))
    router.on_message(report_bytes(HERE, 100, 101.0, first, stranger), NEAR, 101.0)
    router.on_message(report_bytes(THERE, 1, 101.0, told(FAR, RawMetrics(4))), FAR, 101.0)
    usable = {binding.d_bid for binding in router.bindings.usable(D_SID, 101.0)}
    assert usable == {NEAR + 100, FAR}  # what is known goes on, and other sites have room of their own


def test_a_name_server_keeps_nothing_of_what_it_does_not_choose_for() -> None:
    of = NameSteering({D_SID: "render"}, DnsTtl(), (_HERE,), lifetime_s=10, report_rate=REPORT_RATE, rng=Random(1))
    stranger = told(NEAR, RawMetrics(4), d_sid=D_SID + 1)
    of.on_message(report_bytes(HERE, 1, 100.0, stranger, told(NEAR, RawMetrics(4))), NEAR, 100.0)
    assert [binding.d_sid for binding in of.bindings.all()] == [D_SID]


def test_a_report_of_more_bindings_than_are_allowed_at_once_takes_them_all() -> None:
    router = d_router(report_rate=Rate(per_s=1, burst=3))
    bindings = [told(NEAR + number, None) for number in range(100)]
    router.on_message(report_bytes(HERE, 1, 100.0, *bindings), NEAR, 100.0)
    assert len(router.bindings.all()) == 100
    router.on_message(report_bytes(HERE, 2, 100.0, *bindings), NEAR, 100.1)
    assert router.counters == {"reports_rate_limited": 1}
