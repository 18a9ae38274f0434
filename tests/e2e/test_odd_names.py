"""A run whose D-Routers and clients have names that mean something to paths, shells and markup."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import load
from tests.machine import dyncast, unchanged
from tests.odd_names import odd_topology
from topologies import yaml_form

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

_NAMES = ("Minneapolis/St Paul", "../../x", ".hidden", "-rf", 'Köln [/b] "a"')


def test_all_of_it_is_in_its_folder_under_the_names_as_they_are(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "down" / "here"
    place.mkdir(parents=True)
    (place / "odd.yaml").write_text(yaml_form.dump(odd_topology(_NAMES)), encoding="utf-8")
    document = {
        "name": "odd",
        "topology": "odd.yaml",
        "services": {"render": {"d_sid": "203.0.113.10"}},
        "instances": [{"service": "render", "site": name} for name in _NAMES[:3]],
        "workloads": [
            {"name": "jobs", "service": "render", "clients": list(_NAMES), "arrivals": {"rate_per_s": 20}},
            {"name": "look", "service": "render", "clients": [_NAMES[3]], "command": ["cat", "/etc/resolv.conf"]},
        ],
        "metrics": {"authentication": "hmac"},
        "dns": {"server": _NAMES[1]},
        "faults": [{"kind": "link_down", "link": ["core", _NAMES[2]], "at_s": 2, "until_s": 3}],
        "captures": [{"name": "core", "link": ["core", _NAMES[0]]}],
        "duration_s": 5,
    }
    path = place / "scenario.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with unchanged():
        done = dyncast("run", str(path), "--out", str(place / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (place / "results" / "odd").iterdir()
    run = load(run_dir)
    assert [check.name for check in checks(run) if not check.ok] == []
    assert set(run.flows["ingress"]) == set(_NAMES)
    assert {name for name in run.flows["site"].dropna() if name} <= set(_NAMES[:3])
    outside = {item for item in tmp_path.rglob("*") if not item.is_relative_to(run_dir) and item.is_file()}
    assert outside == {place / "odd.yaml", path}
    report = (run_dir / "report.html").read_text(encoding="utf-8")
    assert "Minneapolis/St Paul" in report
    assert "Köln [/b]" in report
