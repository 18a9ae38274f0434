"""Functions delivered to a cluster by real processes: over connections that break, to disks that fill, and once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.agents.functions.blobs import Source
from testbed.runtime.polling import wait_until
from tests.faas_process import DELIVERIES, PROGRAMS, ClusterOfTest, cluster, remains
from tests.machine import dyncast
from tests.repository_process import RepositoryOfTest, Way, repository, way_to

pytestmark = [pytest.mark.root]

READS_LAYER = """
import number
def main(args):
    return {"number": number.NUMBER, "octets": len(open("/layers/model/weights", "rb").read())}
"""
OCTETS = 20_000_000
MIDWAY = 5_000_000
SLACK = 8_000_000  # what waits in sockets and on the way when a connection is cut


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Source]:
    """Two functions that share a large layer, and one that has none."""
    layer = tmp_path / "model"
    layer.mkdir()
    (layer / "number.py").write_text("NUMBER = 7\n")
    (layer / "weights").write_bytes(bytes(range(256)) * (OCTETS // 256))
    found = {}
    for name in ("detect", "track"):
        (tmp_path / f"{name}.py").write_text(f"# {name}\n{READS_LAYER}")
        found[name] = Source(tmp_path / f"{name}.py", "python:3", layers={"model": layer})
    (tmp_path / "echo.py").write_text("def main(args):\n    return args\n")
    return {**found, "echo": Source(tmp_path / "echo.py", "python:3")}


@pytest.fixture
def origin(tmp_path: Path, sources: dict[str, Source]) -> Iterator[RepositoryOfTest]:
    with repository(tmp_path / "repository", sources) as running:
        yield running


@pytest.fixture
def way(origin: RepositoryOfTest) -> Iterator[Way]:
    with way_to(origin.url) as opened:
        yield opened


def runs(here: ClusterOfTest, name: str = "detect") -> None:
    """See that a delivered function does what it should."""
    assert here.result(name) == {"number": 7, "octets": OCTETS // 256 * 256}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_function_is_delivered_with_its_layer_and_runs(origin: RepositoryOfTest, program: str) -> None:
    with cluster(program=program) as here:
        done = here.delivered(here.deliver(origin.digest("detect"), origin.url))
        assert (done["state"], done["bytes_fetched"], done["bytes_held"]) == ("done", done["bytes"], 0)
        runs(here)
        state = here.state()
        assert state["functions"] == {"detect": origin.digest("detect")}
        assert state["store"]["bytes_used"] == done["bytes"]
        here.ask("DELETE", "actions/detect")
        assert here.state()["store"]["bytes_used"] == 0


def test_an_interrupted_connection_goes_on_where_it_was(origin: RepositoryOfTest, way: Way) -> None:
    with cluster() as here:
        way.cut_after(MIDWAY)
        done = here.delivered(here.deliver(origin.digest("detect"), way.url))
        assert (done["state"], done["resumed"], done["bytes_fetched"]) == ("done", 1, done["bytes"])
        assert way.passed < OCTETS + 1_000_000, "no octet passed twice"
        assert origin.document("/")["ranges"] == 1
        assert origin.document("/")["bytes"] < OCTETS + SLACK
        runs(here)


def test_two_deliveries_that_share_a_layer_fetch_it_once(origin: RepositoryOfTest, way: Way) -> None:
    with cluster() as here:
        way.hold_after(MIDWAY)
        ids = [here.deliver(origin.digest(name), way.url) for name in ("detect", "track")]
        wait_until(lambda: here.delivery(ids[0])["bytes_come"] > 0, 20, "something of the first")
        way.open()
        first, second = (here.delivered(delivery) for delivery in ids)
        assert (first["state"], second["state"]) == ("done", "done")
        assert origin.document("/")["bytes"] < OCTETS + 1_000_000
        third = here.delivered(here.deliver(origin.digest("track"), way.url))
        assert (third["state"], third["bytes_fetched"]) == ("done", 0)
        runs(here, "detect")
        runs(here, "track")


def test_a_blob_that_is_another_is_discarded_and_the_right_one_is_taken(origin: RepositoryOfTest) -> None:
    blob = origin.blob_files()[-1]
    octets = blob.read_bytes()
    blob.write_bytes(octets[:-9] + b"otherwise")
    with cluster() as here:
        failed = here.delivered(here.deliver(origin.digest("detect"), origin.url))
        assert failed["state"] == "failed" and "digest" in failed["reason"]
        assert here.ask("GET", "actions").document == []
        blob.write_bytes(octets)
        done = here.delivered(here.deliver(origin.digest("detect"), origin.url))
        assert (done["state"], done["bytes_fetched"]) == ("done", len(octets)), "the code was right, and is held"
        runs(here)


def test_a_repository_that_is_killed_and_comes_back_is_taken_from_where_it_was(
    origin: RepositoryOfTest, way: Way
) -> None:
    digest = origin.digest("detect")
    with cluster() as here:
        way.hold_after(MIDWAY)
        delivery = here.deliver(digest, way.url)
        wait_until(lambda: here.delivery(delivery)["bytes_come"] > MIDWAY // 2, 20, "half of it")
        origin.kill()
        way.open()
        wait_until(lambda: here.delivery(delivery)["state"] == "blobs", 20, "the next attempt")
        origin.start_again()
        done = here.delivered(delivery)
        assert (done["state"], done["bytes_fetched"]) == ("done", done["bytes"])
        assert done["resumed"] >= 1
        runs(here)


def test_a_cluster_that_is_killed_goes_on_where_it_was(origin: RepositoryOfTest, way: Way, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with cluster("--store", str(store)) as here:
        way.hold_after(MIDWAY)
        delivery = here.deliver(origin.digest("detect"), way.url)
        wait_until(lambda: here.delivery(delivery)["bytes_come"] > MIDWAY // 2, 20, "half of it")
        here.end(signal.SIGKILL)
    way.open()
    with cluster("--store", str(store)) as again:
        done = again.delivered(again.deliver(origin.digest("detect"), way.url))
        assert done["state"] == "done" and done["bytes_held"] > MIDWAY // 2
        assert done["bytes_held"] + done["bytes_fetched"] == done["bytes"]
        runs(again)
    with cluster("--store", str(store)) as third:
        done = third.delivered(third.deliver(origin.digest("track"), way.url))
        assert done["state"] == "done" and done["bytes_fetched"] < 1000
        runs(third, "track")


def test_a_disk_that_fills_fails_the_delivery_and_not_the_cluster(origin: RepositoryOfTest, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    set_up = f"mount -t tmpfs -o size=6m tmpfs {small}"
    with cluster("--store", str(small / "store"), set_up=set_up) as here:
        failed = here.delivered(here.deliver(origin.digest("detect"), origin.url))
        assert failed["state"] == "failed" and "No space left on device" in failed["reason"]
        done = here.delivered(here.deliver(origin.digest("echo"), origin.url))
        assert done["state"] == "done"
        assert here.result("echo", {"a": 1}) == {"a": 1}


def test_a_function_that_does_not_fit_is_refused_before_it_is_sent(origin: RepositoryOfTest) -> None:
    with cluster("--store-size", "10") as here:
        failed = here.delivered(here.deliver(origin.digest("detect"), origin.url))
        assert failed["state"] == "failed" and "no room" in failed["reason"]
        assert origin.document("/")["bytes"] < 10_000


def test_a_delivery_that_is_cancelled_stops(origin: RepositoryOfTest, way: Way) -> None:
    with cluster() as here:
        way.hold_after(MIDWAY)
        delivery = here.deliver(origin.digest("detect"), way.url)
        wait_until(lambda: here.delivery(delivery)["bytes_come"] > 0, 20, "something of it")
        assert here.ask("DELETE", f"{DELIVERIES}/{delivery}").document["state"] == "cancelled"
        way.open()
        assert here.state()["store"]["deliveries"] == 0
        assert here.ask("GET", "actions").document == []


@pytest.mark.parametrize("path", ["", "/none"])
def test_what_is_no_repository_fails_with_its_answer(origin: RepositoryOfTest, path: str) -> None:
    with cluster() as here:
        digest = f"sha256:{'0' * 64}" if not path else origin.digest("echo")
        failed = here.delivered(here.deliver(digest, f"{origin.url}{path}"))
        assert failed["state"] == "failed"
        assert failed["reason"] == f"manifest: {origin.url}{path} does not have it"


def test_nothing_is_left_of_a_cluster_in_the_middle_of_a_delivery(origin: RepositoryOfTest, way: Way) -> None:
    before = remains()
    with cluster() as here:
        way.hold_after(MIDWAY)
        delivery = here.deliver(origin.digest("detect"), way.url)
        wait_until(lambda: here.delivery(delivery)["bytes_come"] > 0, 20, "something of it")
        assert remains() != before
        here.end(signal.SIGKILL)
    assert dyncast("clean").returncode == 0
    wait_until(lambda: remains() == before, 10, "the machine as it was")


def test_a_store_is_that_of_one_cluster_alone(tmp_path: Path) -> None:
    with cluster("--store", str(tmp_path / "store")):
        done = dyncast("faas", "--port", "0", "--store", str(tmp_path / "store"))
        assert done.returncode == 2
        assert "another cluster" in done.stderr and "Traceback" not in done.stderr
