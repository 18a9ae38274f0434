"""The container pool: warm before prewarmed before cold, memory and slots, eviction, the queue, time limits."""

from __future__ import annotations

from testbed.faas.activations.outcome import Failure
from testbed.faas.orders import Initialize, Run, StartContainer, StopContainer
from testbed.faas.pool.container import Shape
from tests.faas_samples import ACTIONS, ACTIVATIONS, PlayedCluster

PYTHON_256 = Shape("python:3", (), 256)


def test_a_container_that_holds_the_code_is_used_again() -> None:
    cluster = PlayedCluster()
    cluster.create()
    container = cluster.bring_up()
    cluster.invoke()
    assert not cluster.take(StartContainer) and not cluster.take(Initialize)
    assert [run.container for run in cluster.take(Run)] == [container]
    assert cluster.state["starts"] == {"cold": 1, "warm": 1}


def test_an_activation_beside_another_starts_a_container_of_its_own() -> None:
    cluster = PlayedCluster()
    cluster.create()
    cluster.invoke()
    cluster.invoke()
    assert len(cluster.take(StartContainer)) == 2


def test_a_prewarmed_container_is_filled_and_replaced() -> None:
    cluster = PlayedCluster(prewarmed={PYTHON_256: 1})
    cluster.core.begin(0.0)
    cluster.collect()
    (prewarmed,) = cluster.take(StartContainer)
    cluster.started(prewarmed.container)
    cluster.create()
    cluster.invoke()
    assert [init.container for init in cluster.take(Initialize)] == [prewarmed.container]
    assert len(cluster.take(StartContainer)) == 1  # the next to wait for code
    assert cluster.state["starts"] == {"prewarmed": 1}


def test_a_changed_action_does_not_run_in_a_container_of_the_old_code() -> None:
    cluster = PlayedCluster()
    cluster.create()
    container = cluster.bring_up()
    cluster.create()
    assert [order.container for order in cluster.take(StopContainer)] == [container]
    cluster.invoke()
    assert len(cluster.take(StartContainer)) == 1


def test_a_container_that_runs_old_code_ends_its_run_and_stops() -> None:
    cluster = PlayedCluster()
    cluster.create()
    number = cluster.invoke()
    cluster.started(1)
    cluster.initialized(1)
    cluster.answer("DELETE", f"{ACTIONS}/echo")
    assert not cluster.take(StopContainer)
    cluster.ran(1, {"a": 1})
    assert cluster.answers[number].document == {"a": 1}
    assert len(cluster.take(StopContainer)) == 1


def test_the_container_unused_for_longest_makes_room_and_its_memory_is_free_when_it_has_ended() -> None:
    cluster = PlayedCluster(memory_mb=512)
    for name in ("a", "b", "c"):
        cluster.create(name)
    first = cluster.bring_up("a")
    cluster.now_s = 1.0
    cluster.bring_up("b")
    cluster.now_s = 2.0
    number = cluster.invoke("c")
    assert [order.container for order in cluster.take(StopContainer)] == [first]
    assert not cluster.take(StartContainer)
    cluster.ended(first)
    (start,) = cluster.take(StartContainer)
    cluster.started(start.container)
    cluster.initialized(start.container)
    cluster.ran(start.container, {"c": 1})
    assert cluster.answers[number].document == {"c": 1}


def test_slots_are_a_limit_as_memory_is() -> None:
    cluster = PlayedCluster(slots=1)
    cluster.create()
    cluster.invoke()
    cluster.invoke()
    assert len(cluster.take(StartContainer)) == 1
    assert cluster.state["waiting"] == 1


def test_what_waits_is_run_in_its_order() -> None:
    cluster = PlayedCluster(slots=1)
    cluster.create()
    numbers = [cluster.invoke(parameters={"n": n}) for n in range(3)]
    cluster.started(1)
    cluster.initialized(1)
    for n, number in enumerate(numbers):
        (run,) = cluster.take(Run)
        assert run.document["value"] == {"n": n}
        cluster.ran(1, {"n": n})
        assert cluster.answers[number].document == {"n": n}


def test_a_full_queue_refuses() -> None:
    cluster = PlayedCluster(slots=1, queue=1)
    cluster.create()
    cluster.invoke()
    cluster.invoke()
    answer = cluster.answer("POST", f"{ACTIONS}/echo", {})
    assert answer.status == 503 and "1 activations wait" in answer.document["error"]
    assert cluster.state["in_flight"] == 2


def test_an_activation_that_waits_for_memory_is_not_passed_for_ever() -> None:
    cluster = PlayedCluster(memory_mb=512)
    cluster.create("small")
    cluster.create("large", limits={"memory": 512})
    cluster.bring_up("small")
    cluster.invoke("small")  # keeps its container busy
    cluster.invoke("large")
    cluster.now_s += 2.0
    cluster.invoke("small")
    cluster.take(Run)
    cluster.ran(1)
    assert not cluster.take(Run)  # not the small one, though its container was free
    assert [order.container for order in cluster.take(StopContainer)] == [1]
    cluster.ended(1)
    assert [start.memory_mb for start in cluster.take(StartContainer)] == [512]


def test_what_waits_too_long_is_over() -> None:
    cluster = PlayedCluster(slots=1, queue_wait_s=10.0)
    cluster.create(limits={"timeout": 300_000})
    cluster.invoke()
    cluster.started(1)
    cluster.initialized(1)
    number = cluster.invoke(result="false")
    cluster.pass_s(10.0)
    assert cluster.answers[number].document["response"]["status"] == "whisk internal error"


def test_a_container_is_stopped_when_it_was_unused_for_the_keep_alive_time() -> None:
    cluster = PlayedCluster(keep_alive_s=5.0)
    cluster.create()
    container = cluster.bring_up()
    cluster.pass_s(4.9)
    assert not cluster.take(StopContainer)
    cluster.pass_s(0.2)
    assert [order.container for order in cluster.take(StopContainer)] == [container]
    cluster.ended(container)
    assert cluster.state["memory_used_mb"] == 0


def test_a_run_that_takes_too_long_is_killed_and_says_so_with_its_logs() -> None:
    cluster = PlayedCluster()
    cluster.create(limits={"timeout": 500})
    number = cluster.invoke(result="false")
    cluster.started(1)
    cluster.initialized(1)
    cluster.pass_s(0.5)
    assert [order.container for order in cluster.take(StopContainer)] == [1]
    cluster.ran(1, {"too": "late"})  # crosses the order
    cluster.ended(1, logs=("t stdout: so far",))
    record = cluster.answers[number].document
    assert record["response"]["status"] == "action developer error"
    assert "500 ms" in record["response"]["result"]["error"]
    assert record["logs"] == ["t stdout: so far"]
    assert {"key": "timeout", "value": True} in record["annotations"]


def test_an_activation_ends_even_if_its_container_does_not() -> None:
    cluster = PlayedCluster()
    cluster.create(limits={"timeout": 500})
    number = cluster.invoke(result="false")
    cluster.started(1)
    cluster.initialized(1)
    cluster.pass_s(60.0)
    assert "500 ms" in cluster.answers[number].document["response"]["result"]["error"]
    assert cluster.state["memory_used_mb"] == 256  # it may still be there


def test_a_container_that_never_starts_is_stopped() -> None:
    cluster = PlayedCluster()
    cluster.create(limits={"timeout": 300_000})
    number = cluster.invoke(result="false")
    cluster.pass_s(30.0)
    assert len(cluster.take(StopContainer)) == 1
    cluster.ended(1, Failure.START)
    assert cluster.answers[number].status == 500


def test_a_container_that_dies_under_a_run_ends_it() -> None:
    cluster = PlayedCluster()
    cluster.create()
    number = cluster.invoke()
    cluster.started(1)
    cluster.initialized(1)
    cluster.ended(1, Failure.MEMORY)
    assert cluster.answers[number].status == 502
    assert "memory" in cluster.answers[number].document["error"]


def test_a_shape_that_does_not_start_is_prewarmed_again_only_after_a_pause() -> None:
    cluster = PlayedCluster(prewarmed={PYTHON_256: 1})
    cluster.core.begin(0.0)
    cluster.collect()
    (start,) = cluster.take(StartContainer)
    cluster.ended(start.container, Failure.START)
    assert not cluster.take(StartContainer)
    cluster.pass_s(5.0)
    assert len(cluster.take(StartContainer)) == 1


def test_closing_ends_everything() -> None:
    cluster = PlayedCluster(slots=1)
    cluster.create()
    running, waiting = cluster.invoke(), cluster.invoke()
    cluster.started(1)
    cluster.initialized(1)
    cluster.core.close(cluster.now_s)
    cluster.collect()
    assert cluster.answers[waiting].status == 500
    assert [order.container for order in cluster.take(StopContainer)] == [1]
    cluster.ended(1)
    assert cluster.answers[running].status == 500
    assert cluster.answer("POST", f"{ACTIONS}/echo", {}).status == 503
    assert len(cluster.answer("GET", ACTIVATIONS).document) == 2
