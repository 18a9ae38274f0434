"""Control groups of a cluster: which hierarchies serve, of either version, and what is written where."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.agents.cluster.sandboxes import control_groups
from testbed.agents.cluster.sandboxes.control_groups import ControlGroups, Hierarchy, Limits, hierarchies


def mounted(folder: Path, controllers: str | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").touch()
    if controllers is not None:
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.subtree_control").write_text("")
    return folder


def test_each_controller_is_taken_where_it_is_mounted(tmp_path: Path) -> None:
    memory, cpu, both = (mounted(tmp_path / name) for name in ("memory", "cpu", "net_cls"))
    unified = mounted(tmp_path / "unified", "hugetlb pids")
    lines = [
        f"cgroup {memory} cgroup rw,memory 0 0",
        f"cgroup {cpu} cgroup rw,cpu,cpuacct 0 0",
        f"cgroup {both} cgroup rw,net_cls 0 0",
        f"cgroup2 {unified} cgroup2 rw 0 0",
        f"tmpfs {tmp_path} tmpfs rw 0 0",
        "short",
    ]
    assert hierarchies(lines) == [
        Hierarchy(memory, False, ("memory",)),
        Hierarchy(cpu, False, ("cpu",)),
        Hierarchy(unified, True, ("pids",)),
    ]


def test_a_hierarchy_that_is_hidden_does_not_serve(tmp_path: Path) -> None:
    assert hierarchies([f"cgroup2 {tmp_path / 'none'} cgroup2 rw 0 0"]) == []


@pytest.mark.parametrize("is_v2", [False, True])
def test_limits_are_written_as_the_version_has_them(
    tmp_path: Path, is_v2: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = mounted(tmp_path / "root")
    found = Hierarchy(root, is_v2, ("memory", "cpu", "pids"))
    monkeypatch.setattr(control_groups, "hierarchies", lambda _lines: [found])
    monkeypatch.setattr(control_groups, "_prepared", lambda hierarchy, _group, _owner: hierarchy)
    groups = ControlGroups("dyncast-0000")
    assert groups.limited == ("memory", "cpu", "pids")
    assert groups.make("7", Limits(64, 0.5, 10)) == [root / "dyncast-0000" / "7" / "cgroup.procs"]
    written = {path.name: path.read_text() for path in (root / "dyncast-0000" / "7").iterdir()}
    quota = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    v1 = {"memory.limit_in_bytes": "67108864", "pids.max": "10", **quota}
    v2 = {"memory.max": "67108864", "cpu.max": "50000 100000", "pids.max": "10"}
    assert written == (v2 if is_v2 else v1)
