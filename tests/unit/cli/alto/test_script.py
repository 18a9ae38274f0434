"""Scripts of costs: what they say, and that a wrong one is named by file, change and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.alto.network.directories import directory
from testbed.alto.network.static_knowledge import DELAY, knowledge_of
from testbed.alto.service.knowledge import Knowledge
from testbed.cli.alto import script
from testbed.experiment.systems.alto.topology_facts import facts_of
from topologies.addressing import AddressPlan
from topologies.spec import Link, Node, Topology

LATER = "{at_s: 5, cost-map: delay-ow-numerical, from: a, to: b, cost: 90}"


def read(tmp_path: Path, text: str) -> tuple[Knowledge, list[script.Change]]:
    topology = Topology("two", (Node("a"), Node("b")), (Link("a", "b"),))
    known = knowledge_of(facts_of(topology, AddressPlan(topology)))
    path = tmp_path / "script.yaml"
    path.write_text(text)
    return known, script.read(path, directory(), known)


def test_changes_come_in_the_order_of_their_time(tmp_path: Path) -> None:
    sooner = LATER.replace("at_s: 5", "at_s: 0.5").replace("cost: 90", "cost: null")
    known, changes = read(tmp_path, f"- {LATER}\n- {sooner}\n")
    assert [change.at_s for change in changes] == [0.5, 5.0]
    net = known.network_maps["net"]
    known = changes[0].applied(known)
    assert known.cost_map(net, DELAY).cost("a", "b") is None
    assert changes[1].applied(known).cost_map(net, DELAY).cost("a", "b") == 90


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("at_s: 5", "at_s: -1", r"\[0\]\.at_s must be a number of seconds >= 0"),
        ("at_s: 5", "at_s: .nan", r"\[0\]\.at_s"),
        ("cost: 90", "cost: much", r"\[0\]\.cost must be a number"),
        ("cost: 90", "cost: -1", r"\[0\]: -1 cannot be a numerical delay-ow"),
        ("cost: 90", "cost: true", r"\[0\]\.cost"),
        ("delay-ow-numerical", "delay", r"\[0\]\.cost-map must be one of routingcost-numerical, hopcount-numerical"),
        ("delay-ow-numerical", "delay-ow-ordinal", "ranks follow"),
        ("delay-ow-numerical", "[1]", r"\[0\]\.cost-map"),
        ("from: a", "from: nowhere", r"\[0\]: net has no PID 'nowhere'"),
        ("from: a", "from: 3", r"\[0\]\.from must be a PID"),
        ("to: b, ", "", "must have the keys at_s, cost-map, from, to, cost"),
        ("{at_s", "[at_s", r"script\.yaml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(tmp_path, f"- {LATER.replace(old, new)}\n")


def test_a_script_is_a_list(tmp_path: Path) -> None:
    with pytest.raises(script.ScriptError, match="must be a list of changes"):
        read(tmp_path, "at_s: 5\n")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    topology = Topology("one", (Node("a"),), ())
    known = knowledge_of(facts_of(topology, AddressPlan(topology)))
    with pytest.raises(script.ScriptError, match=r"none\.yaml: No such file"):
        script.read(tmp_path / "none.yaml", directory(), known)
