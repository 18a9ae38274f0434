"""Links against what they were told: delays at rest, full rates, losses that are no chance, drops elsewhere."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from testbed.emulation.links.link_measure import MeasuredDirection
from testbed.emulation.relay.full_rate import FullRate
from testbed.emulation.relay.impairment import Impairment, LinkDirection
from testbed.experiment.fidelity import fidelity
from testbed.experiment.fidelity.fidelity import assess_control
from testbed.experiment.fidelity.link_fidelity import IdlePath, assess_idle_links, assess_links, assess_paths
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.records.manifest import FidelityEntry
from topologies.spec import LinkSpec

SPEC = LinkSpec(delay_ms=10, jitter_ms=1, loss_percent=1, rate_mbps=8)


def _assessed(counted: dict[str, Any], spec: LinkSpec = SPEC) -> Fidelity:
    verdict = Fidelity()
    sound = {"packets": 10_000, "dropped_loss": 100, "dropped_interface": 0, "full_s": 5.0, "full_mbps": 8.0}
    assess_links(verdict, {"links": {"a - b": {"a_to_b": {**sound, **counted}}}}, {"a - b": spec})
    return verdict


def _paths(*rtts_ms: float | None) -> Fidelity:
    verdict = Fidelity()
    assess_paths(verdict, [IdlePath("east", "west", rtt_ms, (LinkSpec(delay_ms=5), SPEC)) for rtt_ms in rtts_ms])
    return verdict


def test_links_that_do_as_they_were_told_are_valid() -> None:
    measured = {"link_rate_error": 0.0, "link_loss_chance": 1.0, "link_rejected_share": 0.0}
    assert _assessed({}).as_entry() == FidelityEntry("valid", (), measured)
    assert _assessed({"full_s": 0.5, "full_mbps": 3.0}).verdict == "valid"  # too short to be assessed
    assert _assessed({"dropped_loss": 115}).verdict == "valid"  # 1.5 standard deviations


@pytest.mark.parametrize(
    ("counted", "verdict", "word"),
    [
        ({"full_mbps": 7.6}, "suspect", "7.6 Mbit/s while it was full, not 8"),
        ({"full_mbps": 4.0}, "invalid", "4 Mbit/s"),
        ({"dropped_loss": 0}, "invalid", "lost 0 % of its packets at random, not 1 %"),
        ({"dropped_loss": 200}, "invalid", "lost 2 %"),
        ({"packets": 10**6, "dropped_loss": 11_000}, "suspect", "lost 1.1 %"),
        ({"dropped_interface": 20}, "suspect", "20 packets back"),
        ({"dropped_interface": 2000}, "invalid", "2000 packets back"),
    ],
)
def test_each_figure_of_a_link_can_spoil_a_run(counted: dict[str, Any], verdict: str, word: str) -> None:
    assessed = _assessed(counted)
    assert assessed.verdict == verdict, assessed.reasons
    assert word in assessed.reasons[0]


def test_a_lossless_link_may_lose_nothing() -> None:
    assert _assessed({"dropped_loss": 0}, LinkSpec(delay_ms=1)).verdict == "valid"
    assert _assessed({"dropped_loss": 1}, LinkSpec(delay_ms=1)).verdict == "invalid"
    assert _assessed({"packets": None, "dropped_loss": None, "full_mbps": None, "full_s": None}).verdict == "valid"


def test_where_losses_and_a_full_queue_are_counted_as_one_only_too_few_are_wrong() -> None:
    netem = {"dropped_loss": None, "full_mbps": None, "full_s": None, "in_place": True}
    assert _assessed({**netem, "dropped": 100}).verdict == "valid"
    assert _assessed({**netem, "dropped": 3000}).verdict == "valid"  # its queue was full
    assert "lost 0 %" in _assessed({**netem, "dropped": 0}).reasons[0]


def test_a_link_that_lost_its_netem_spoils_a_run() -> None:
    assessed = _assessed({"packets": None, "bytes": None, "dropped": None, "dropped_loss": None, "in_place": False})
    assert assessed.verdict == "invalid"
    assert assessed.reasons == ["link a - b (a_to_b) lost what impairs it during the run"]


def _idle(
    label: str = "a - b", least_ms: float | None = 10.1, rate_mbps: float | None = 8.0, received: int = 10
) -> MeasuredDirection:
    return MeasuredDirection(label, "b_to_a", SPEC, 10, received, least_ms, rate_mbps)


def _assessed_idle(*measured: MeasuredDirection) -> Fidelity:
    verdict = Fidelity()
    assess_idle_links(verdict, measured)
    return verdict


def test_links_that_are_as_configured_at_rest_are_valid() -> None:
    assert _assessed_idle().measured == {}
    assessed = _assessed_idle(_idle(), _idle("b - c", least_ms=9.2))
    assert assessed.verdict == "valid"
    assert assessed.measured["links_measured"] == 2


@pytest.mark.parametrize(
    ("measured", "verdict", "word"),
    [
        (_idle(least_ms=0.05), "invalid", "link a - b (b_to_a) took 0.05 ms, not 10.06 ± 1"),  # not impaired at all
        (_idle(least_ms=8.5), "invalid", "took 8.50 ms"),  # too fast is no better than too slow
        (_idle(least_ms=12.5), "suspect", "took 12.50 ms"),  # the machine may have been busy
        (_idle(least_ms=25.0), "invalid", "took 25.00 ms"),
        (_idle(rate_mbps=7.0), "suspect", "link a - b (b_to_a) carried 7 Mbit/s, not 8"),
        (_idle(rate_mbps=4.0), "invalid", "carried 4 Mbit/s"),
        (_idle(rate_mbps=9000.0), "invalid", "carried 9e+03 Mbit/s"),
        (_idle(least_ms=None, rate_mbps=None, received=0), "invalid", "lost 10 of 10 frames, not 1 %"),
        (_idle(received=8), "valid", ""),  # so many are lost now and then
    ],
)
def test_a_link_that_is_not_as_configured_spoils_a_run_and_is_named(
    measured: MeasuredDirection, verdict: str, word: str
) -> None:
    assessed = _assessed_idle(measured, _idle("b - c"))
    assert assessed.verdict == verdict, assessed.reasons
    assert word in "; ".join(assessed.reasons)


def test_a_reason_says_how_many_links_are_off() -> None:
    assessed = _assessed_idle(_idle(least_ms=0.0), _idle("b - c"), _idle("c - d", least_ms=0.1))
    assert "link a - b (b_to_a)" in assessed.reasons[0] and assessed.reasons[0].count("and 1 more are off") == 1


def test_paths_at_rest_are_held_against_their_delays() -> None:
    assert _paths(30.3, 30.9).verdict == "valid"
    assert _paths(33.0).verdict == "valid"  # 2 ms of it may be jitter, 1 ms is for two links there and back
    assert _paths(34.5).verdict == "suspect"
    assert _paths(None).measured == {}
    slow = _paths(30.5, 30.4, 39.0)
    assert slow.verdict == "suspect"
    assert "east to west and back took 39.00 ms, not 30.2" in slow.reasons[0]
    assert _paths(60.0).verdict == "invalid"
    assert _paths(10.0).verdict == "invalid"  # too fast is no better


def _run(**changes: Any) -> Fidelity:
    given_: dict[str, Any] = {"generators": {}, "links": {}, "switch_lost": 0, "cpu_share": 0.1, "steal_share": 0.0,
                              "unclean": []}  # fmt: skip
    return fidelity.assess(**{**given_, **changes})


@pytest.mark.parametrize(
    ("changes", "verdict", "word"),
    [
        ({"control_delays_ms": {"control@east": [0.5] * 99 + [3.0], "control@west": [1.0]}}, "valid", ""),
        ({"control_delays_ms": {"control@east": [0.5] * 90 + [60.0] * 10}}, "suspect", "control@east waited"),
        ({"control_delays_ms": {"control@east": [900.0] * 5, "control@west": []}}, "invalid", "to be handled"),
        ({"control_delays_ms": {"control@east": [0.5] * 19 + [60.0]}}, "valid", ""),
        ({"control_delays_ms": {"control@east": [0.5] * 18 + [60.0] * 2}}, "suspect", "control@east waited"),
        ({"control_delays_ms": {"control@east": [60.0]}}, "suspect", "control@east waited"),
        ({"control_delays_ms": {"control@east": [0.5] * 999 + [300.0]}}, "suspect", "control@east once waited 300 ms"),
        ({"control_delays_ms": {"control@east": [0.5] * 999 + [1900.0]}}, "invalid", "control@east once waited 1900"),
        ({"stray_drops": {}, "received": 10_000}, "valid", ""),
        ({"stray_drops": {"client-1@east RcvbufErrors": 5}, "received": 10_000}, "suspect", "client-1@east Rcvbuf"),
        ({"stray_drops": {"a": 5, "b": 700}, "received": 10_000}, "invalid", "705 packets outside of emulated links"),
    ],
)  # fmt: skip
def test_controllers_and_the_machine_itself_are_assessed(changes: dict[str, Any], verdict: str, word: str) -> None:
    assessed = _run(**changes)
    assert assessed.verdict == verdict, assessed.reasons
    assert word in "; ".join(assessed.reasons)


def test_a_control_process_that_measured_nothing_makes_a_run_suspect() -> None:
    assessed = Fidelity()
    delays_ms: dict[str, list[float]] = {"control@east": [0.5], "control@west": []}
    assess_control(assessed, delays_ms, ["control@east", "control@south", "control@west"])
    assert assessed.verdict == "suspect"
    assert assessed.reasons[0].endswith("these processes: control@south, control@west")


def test_links_of_which_nothing_is_known_make_a_run_suspect_and_links_that_ended_an_invalid_one() -> None:
    specs = {"a - b": SPEC, "b - c": LinkSpec()}  # nothing is to be known of a plain one
    assert _run(link_specs=specs, idle_links=[_idle()], links={"links": {"a - b": {}}}).verdict == "valid"
    unmeasured = _run(link_specs=specs, links={"links": {"a - b": {}}})
    assert (unmeasured.verdict, unmeasured.reasons) == ("suspect", ["nothing says what these links do at rest: a - b"])
    silent = _run(link_specs=specs, idle_links=[_idle()], links={"links": {}})
    assert (silent.verdict, silent.reasons) == ("suspect", ["nothing says what these links did: a - b"])
    ended = _run(link_specs=specs, links={"failed": "the relay ended before the run did, by SIGKILL"})
    assert ended.verdict == "invalid" and "by SIGKILL" in ended.reasons[0]


def test_percentiles_are_of_the_values_themselves() -> None:
    assert fidelity.percentile([5.0], 99) == 5.0
    assert fidelity.percentile(list(range(1, 101)), 99) == 99


def _windows(full: FullRate, link: LinkDirection, offered_per_s: float, seconds: float, delivered: float = 1.0) -> None:
    """Offer packets of 1000 bytes evenly; look five times a second at what came out by then."""
    outs, next_s, rng = [], 0.0, Random(1)
    for step in range(int(seconds * 5)):
        until_s = (step + 1) / 5
        while next_s < until_s:
            outs.append(link.arrive(next_s, 1000, rng))
            next_s += 1 / offered_per_s
        full.look(until_s, round(delivered * 1000 * sum(isinstance(out, float) and out <= until_s for out in outs)))


def test_a_full_link_is_seen_at_its_rate_and_one_with_room_is_not_looked_at() -> None:
    link = LinkDirection(Impairment(delay_ms=300, jitter_ms=10, rate_mbps=0.8, queue_packets=20))  # 100 packets/s
    full = FullRate(link)
    _windows(full, link, 250, 10)
    assert full.mbps == pytest.approx(0.8, rel=0.02)
    assert 8 < full.seconds < 10
    calm = LinkDirection(Impairment(rate_mbps=0.8))
    unseen = FullRate(calm)
    _windows(unseen, calm, 50, 10)
    assert (unseen.mbps, unseen.seconds) == (None, 0.0)


def test_frames_that_are_not_written_show_in_the_rate() -> None:
    link = LinkDirection(Impairment(rate_mbps=0.8, queue_packets=20))
    full = FullRate(link)
    _windows(full, link, 250, 10, delivered=0.5)
    assert full.mbps == pytest.approx(0.4, rel=0.03)
