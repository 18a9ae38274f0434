"""Deliveries in any order of requests, octets, failures and time: nothing fetched twice, nothing in use removed."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from testbed.faas.delivery.blobs import Blob, Role, digest_of
from testbed.faas.delivery.manifest import Manifest
from testbed.faas.delivery.orders import CreateAction, Problem, Trouble
from testbed.faas.errors import ApiError
from tests.delivery_samples import HERE, THERE, PlayedDeliveries, blob, function

SHARED, LARGE = b"s" * 300, b"l" * 500
FUNCTIONS = [
    function("small", b"c" * 40),
    function("one", b"d" * 60, shared=SHARED),
    function("two", b"e" * 80, shared=SHARED, large=LARGE),
    function("one", b"f" * 50, large=LARGE),  # a new version
]
CONTENT = {blob(SHARED, Role.LAYER): SHARED, blob(LARGE, Role.LAYER): LARGE} | {
    blob(octets): octets for octets in (b"c" * 40, b"d" * 60, b"e" * 80, b"f" * 50)
}
MOST, FETCHES = 900, 2  # room for the largest function and the code of others


class DeliveryMachine(RuleBasedStateMachine):
    """Repositories and the disk are played by Hypothesis."""

    @initialize()
    def begin(self) -> None:
        self.played = PlayedDeliveries(
            most_octets=MOST, fetches=FETCHES, at_once=5, kept=30, deadline_s=100.0, stalled_s=10.0, wrong=1
        )
        self.begun: set[str] = set()
        self.over: dict[str, str] = {}

    @rule(wanted=st.sampled_from(FUNCTIONS), repository=st.sampled_from([HERE, THERE]))
    def deliver(self, wanted: Manifest, repository: str) -> None:
        try:
            self.begun.add(self.played.begin(wanted, repository))
        except ApiError as error:
            assert error.status == 503

    @rule(wanted=st.sampled_from(FUNCTIONS))
    def deliver_whole(self, wanted: Manifest) -> None:
        """All that is under way comes to its end, well."""
        self.deliver(wanted, HERE)
        while self.played.manifests or self.played.fetches or self.played.waiting:
            for delivery, order in list(self.played.manifests.items()):
                octets = next(item.octets for item in FUNCTIONS if item.digest == order.digest)
                self.played.manifest_comes(delivery, octets)
            for wanted_blob in list(self.played.fetches):
                self.played.octets_come(wanted_blob, CONTENT[wanted_blob][len(self.played.disk[wanted_blob]) :])
                self.played.fetch_ends(wanted_blob)
            self.played.work()

    @precondition(lambda self: self.played.manifests)
    @rule(data=st.data(), trouble=st.sampled_from([None, None, None, *Trouble]))
    def manifest(self, data: st.DataObject, trouble: Trouble | None) -> None:
        delivery = data.draw(st.sampled_from(sorted(self.played.manifests)))
        digest = self.played.manifests[delivery].digest
        if trouble is None:
            octets = next(item.octets for item in FUNCTIONS if item.digest == digest)
            self.played.manifest_comes(delivery, octets)
        else:
            self.played.manifest_breaks(delivery, trouble)

    @precondition(lambda self: self.played.fetches)
    @rule(data=st.data(), share=st.floats(0, 1), is_right=st.integers(0, 5))
    def octets(self, data: st.DataObject, share: float, is_right: int) -> None:
        wanted = data.draw(st.sampled_from(list(self.played.fetches)))
        come = len(self.played.disk[wanted])
        octets = CONTENT[wanted][come : come + round(share * (wanted.octets - come))]
        self.played.octets_come(wanted, octets if is_right else b"?" * len(octets))

    @precondition(lambda self: self.played.fetches)
    @rule(data=st.data(), trouble=st.sampled_from([None, None, *Trouble]))
    def end_fetch(self, data: st.DataObject, trouble: Trouble | None) -> None:
        wanted = data.draw(st.sampled_from(list(self.played.fetches)))
        self.played.fetch_ends(wanted, trouble)

    @precondition(lambda self: self.played.fetches)
    @rule(data=st.data())
    def whole(self, data: st.DataObject) -> None:
        wanted = data.draw(st.sampled_from(list(self.played.fetches)))
        self.played.octets_come(wanted, CONTENT[wanted][len(self.played.disk[wanted]) :])
        self.played.fetch_ends(wanted)

    @rule(wanted=st.sampled_from(list(CONTENT)), come=st.integers(0, 500))
    def report_late(self, wanted: Blob, come: int) -> None:
        """Reports of a fetch that was stopped change nothing."""
        before = [(item.delivery_id, item.stage, self.played.core.come(item)) for item in self.played.core.all()]
        late = min((order.attempt for order in self.played.fetches.values()), default=1) - 1
        self.played.core.on_octets(wanted, late, come, self.played.now_s)
        self.played.core.on_fetched(wanted, late, Problem(Trouble.ABSENT, "late"), self.played.now_s)
        self.played.core.on_manifest("1", 0, b"late", self.played.now_s)
        self.played.collect()
        assert before == [
            (item.delivery_id, item.stage, self.played.core.come(item)) for item in self.played.core.all()
        ]

    @precondition(lambda self: self.played.waiting)
    @rule(is_well=st.integers(0, 5))
    def work(self, is_well: int) -> None:
        order = self.played.waiting[0]
        if isinstance(order, CreateAction):
            for wanted in order.manifest.blobs:
                is_there = wanted in self.played.unpacked or digest_of(self.played.disk[wanted]) == wanted.digest
                assert is_there, "an action is made of what is there, and right"
        self.played.work_once("" if is_well else "no")

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.begun:
            self.played.cancel(data.draw(st.sampled_from(sorted(self.begun))))

    @rule(name=st.sampled_from(["small", "one", "two"]))
    def delete(self, name: str) -> None:
        self.played.core.on_action(name)
        self.played.collect()

    @rule(seconds=st.floats(0.01, 60.0))
    def pass_time(self, seconds: float) -> None:
        self.played.pass_s(seconds)

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "played"):
            return
        played, core = self.played, self.played.core
        assert len(played.fetches) <= FETCHES
        assert core.document()["bytes_used"] <= core.document()["bytes"] <= MOST
        for name, digest in core.functions.items():
            manifest = next(item for item in FUNCTIONS if item.digest == digest)
            assert manifest.name == name
            for wanted in manifest.blobs:
                content = played.disk.get(wanted, b"")
                assert wanted in played.unpacked or digest_of(content) == wanted.digest, "what is in use is there"
        for delivery in core.all():
            former = self.over.get(delivery.delivery_id)
            assert former in (None, delivery.stage.value), "what is over stays so"
            assert 0 <= core.come(delivery) <= delivery.octets
            if delivery.stage.is_over:
                self.over[delivery.delivery_id] = delivery.stage.value

    def teardown(self) -> None:
        if not hasattr(self, "played"):
            return
        self.played.pass_s(200.0)
        assert all(item.stage.is_over for item in self.played.core.all()), "nothing lasts for ever"
        assert not self.played.fetches and not self.played.manifests
        assert len({item.delivery_id for item in self.played.ended}) == len(self.played.ended) == len(self.begun)
        waiting = [order for order in self.played.waiting if not isinstance(order, CreateAction)]
        self.played.work()
        assert self.played.core.next_timer_s() is None, waiting


TestDeliveries = DeliveryMachine.TestCase
TestDeliveries.settings = settings(stateful_step_count=50, deadline=None)
