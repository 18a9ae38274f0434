"""What a cluster is to users of a function: while it holds it, and until what was begun is over."""

from __future__ import annotations

from testbed.faas.orders import Run, StartContainer
from tests.faas_samples import ACTIONS, PlayedCluster


def test_a_function_that_is_not_held_has_no_load() -> None:
    cluster = PlayedCluster()
    assert cluster.core.function_load("echo") is None
    cluster.create()
    load = cluster.core.function_load("echo")
    assert load is not None
    assert (load.is_held, load.busy, load.in_flight, load.begun, load.run_s) == (True, 0, 0, 0, None)


def test_so_many_containers_could_run_it_as_there_are_slots_and_memory_for() -> None:
    cluster = PlayedCluster(slots=8, memory_mb=1024, queue=5)
    cluster.create("small", limits={"memory": 64})
    cluster.create("large", limits={"memory": 512})
    small, large = cluster.core.function_load("small"), cluster.core.function_load("large")
    assert small is not None and large is not None
    assert (small.containers, large.containers, small.queue) == (8, 2, 5)


def test_what_is_ahead_is_of_all_functions_and_runs_of_each_have_their_time() -> None:
    cluster = PlayedCluster(slots=2, memory_mb=1024)
    cluster.create("a", limits={"memory": 256})
    cluster.create("b", limits={"memory": 256})
    _begin(cluster, "a")
    _begin(cluster, "a")
    cluster.ask("POST", f"{ACTIONS}/b", {})
    load = cluster.core.function_load("b")
    assert load is not None
    assert (load.busy, load.waiting, load.in_flight, load.begun) == (2, 1, 3, 3)


def test_after_its_end_what_was_begun_is_still_there() -> None:
    cluster = PlayedCluster()
    cluster.create()
    container = _begin(cluster, "echo")
    cluster.answer("DELETE", f"{ACTIONS}/echo")
    load = cluster.core.function_load("echo")
    assert load is not None
    assert (load.is_held, load.in_flight) == (False, 1)
    cluster.ran(container)
    assert cluster.core.function_load("echo") is None


def _begin(cluster: PlayedCluster, name: str) -> int:
    """Invoke a function on a new container, which runs it from then on."""
    cluster.invoke(name)
    (start,) = cluster.take(StartContainer)
    cluster.started(start.container)
    cluster.initialized(start.container)
    cluster.take(Run)
    return int(start.container)
