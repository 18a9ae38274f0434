"""What of a cluster is in use: containers that work, those that wait, and how long runs take."""

from __future__ import annotations

from testbed.faas.actions.action import PYTHON
from testbed.faas.orders import Initialize, StartContainer
from testbed.faas.pool.container import Shape
from tests.faas_samples import PlayedCluster


def test_a_container_that_works_is_in_use_and_one_that_waits_makes_room() -> None:
    cluster = PlayedCluster()
    cluster.create(limits={"memory": 128})
    cluster.invoke()
    (start,) = cluster.take(StartContainer)
    usage = cluster.core.usage()
    assert (usage.busy, usage.busy_memory_mb, dict(usage.warm)) == (1, 128, {})
    cluster.started(start.container)
    cluster.initialized(start.container)
    cluster.ran(start.container)
    usage = cluster.core.usage()
    assert (usage.busy, usage.busy_memory_mb, dict(usage.warm)) == (0, 0, {"echo": 1})


def test_containers_that_wait_for_code_are_counted_by_their_runtime() -> None:
    cluster = PlayedCluster(prewarmed={Shape(PYTHON, (), 256): 2})
    cluster.core.begin(cluster.now_s)
    cluster.collect()
    for start in cluster.take(StartContainer):
        cluster.started(start.container)
    assert dict(cluster.core.usage().prewarmed) == {PYTHON: 2}


def test_a_run_takes_what_it_takes_without_the_start() -> None:
    cluster = PlayedCluster()
    cluster.create()
    cluster.invoke()
    (start,) = cluster.take(StartContainer)
    cluster.pass_s(3)
    cluster.started(start.container)
    assert cluster.take(Initialize)
    cluster.pass_s(2)
    cluster.initialized(start.container)
    cluster.pass_s(0.5)
    cluster.ran(start.container)
    assert cluster.core.usage().run_s == {"echo": 0.5}
    cluster.invoke()
    cluster.pass_s(1.5)
    cluster.ran(start.container)
    assert cluster.core.usage().run_s == {"echo": 0.7}  # the last one counts a fifth


def test_what_did_not_answer_is_no_run_and_another_revision_is_another_function() -> None:
    cluster = PlayedCluster()
    cluster.create()
    number = cluster.bring_up()
    cluster.invoke()
    cluster.pass_s(9)
    cluster.ended(number)
    assert cluster.core.usage().run_s == {"echo": 0.0}
    cluster.create(annotations=[{"key": "layers", "value": ["pillow"]}])
    assert cluster.core.usage().run_s == {}
