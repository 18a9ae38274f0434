from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.records import manifest as manifests
from testbed.records.manifest import FINISHED, InstanceEntry, Manifest, ManifestError

# As runs of format 1 have left it.
DOCUMENT: dict[str, Any] = {
    "format": 1,
    "status": "finished",
    "scenario": "small",
    "description": "Two sites.",
    "policy": "dyncast",
    "policies": {"render": "dyncast", "conference": "closest"},
    "steered_out_of_band": {"render": "by the true state"},
    "seed": 1,
    "case": {"study": "loads", "settings": {"seed": 1}, "fingerprint": "ab"},
    "duration_s": 8.0,
    "warm_up_s": 1.5,
    "topology": "small.yaml",
    "begun_at": "2026-01-01T00:00:00+00:00",
    "sites": [{"name": "east", "at": "berlin"}],
    "instances": [
        {"name": "render-1@east", "service": "render", "site": "east", "host": "render-1@east", "d_bid": "10.1.0.10",
         "workers": 2, "queue_limit": 30, "speed": 1.0, "mode": "clock"},
    ],
    "clients": [{"name": "client-1@east", "site": "east", "dispatcher": None, "address": "10.1.0.20"}],
    "round_trip_ms": {"east": {"east": 0, "west": 10.5}},
    "services": {
        "render": {"d_sid": "203.0.113.10", "kind": "http", "flow_fields": ["proto", "src", "src_port"],
                   "port_block": 1, "affinity_mode": "reactive", "affinity_timeout_s": 10.0},
    },
    "faults": [
        {"number": 0, "kind": "link_down", "target": "east - west", "at_s": 3.0, "until_s": None, "instance": "",
         "to": "", "site": "", "reach": [["east", "render-1@west"]]},
    ],
    "environment": {"kernel": "6.1", "cores": 2, "packages": {"os-ken": "2.11"}, "git_dirty": False},
    "durations_s": {"network": 1.5, "processes": 2.5, "whole": 30},
    "run_tag": "small-1",
    "backends": {"datapath": "netdev", "link": "relay"},
    "start_s": 5000.25,
    "fidelity": {"verdict": "suspect", "reasons": ["relay late"], "measured": {"cpu_share": 0.4}},
    "switch_lost_packets": 0,
    "stray_drops": {"east eth0": 3},
    "rows": {"flows": 240},
    "links": {"backend": "relay", "links": {"east - west": {"a_to_b": {"packets": 5}}}, "lateness": {"p50_ms": 0.1}},
    "captures": [{"name": "uplink", "file": "captures/uplink.pcap", "packets": 9, "lost_packets": None}],
}  # fmt: skip


def kept(folder: Path, document: object) -> Path:
    path = folder / manifests.NAME
    path.write_text(json.dumps(document))
    return path


def test_a_manifest_is_read_and_written_again_as_it_was(tmp_path: Path) -> None:
    manifest = manifests.read(kept(tmp_path, DOCUMENT))
    manifests.write(manifest, tmp_path)
    written = json.loads((tmp_path / manifests.NAME).read_text())
    assert written == DOCUMENT
    assert list(written) == list(DOCUMENT), "readers scroll through it"


def test_a_manifest_says_nothing_of_what_is_not_known_yet_but_that_it_is_of_no_study() -> None:
    document = Manifest(status="running").as_document()
    assert document["case"] is None
    assert not {"start_s", "fidelity", "rows", "links", "error"} & document.keys()


def test_a_run_that_did_not_get_far_has_no_verdict_and_no_links(tmp_path: Path) -> None:
    manifest = manifests.read(kept(tmp_path, {}))
    assert (manifest.verdict, manifest.reasons, manifest.link_backend, manifest.link_counters) == (None, (), None, {})


def test_what_a_manifest_leaves_out_of_an_instance_is_what_most_have(tmp_path: Path) -> None:
    manifest = manifests.read(kept(tmp_path, {"instances": [{"name": "a", "speed": None}]}))
    assert manifest.instances == (InstanceEntry("a", speed=1.0, mode="clock"),)


def test_keys_that_this_version_does_not_know_are_passed_over(tmp_path: Path) -> None:
    assert manifests.read(kept(tmp_path, {"weather": "fine", "sites": [{"name": "a", "soil": 1}]})).sites[0].name == "a"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("start_s", "soon", "start_s is 'soon', which is of the wrong type; run the scenario again"),
        ("seed", True, "seed is True"),
        ("seed", 1.5, "seed is 1.5"),
        ("policies", ["dyncast"], "policies is ['dyncast']"),
        ("policies", {"render": 1}, "policies.render is 1"),
        ("sites", "east", "sites is 'east'"),
        ("sites", [{"at": "berlin"}], "sites holds {'at': 'berlin'}, which has no name"),
        ("instances", [{"name": "a", "workers": "two"}], "instances.workers is 'two'"),
        ("faults", [{"number": 0}], "faults holds {'number': 0}, which has no kind"),
        ("faults", [{"number": 0, "kind": "x", "reach": [["a"]]}], "faults.reach is ['a']"),
        ("fidelity", {"reasons": [1]}, "fidelity.reasons is 1"),
        ("format", 2, "is of format 2, not 1; read it with the version that wrote it"),
    ],
)
def test_a_value_that_cannot_be_is_named_in_one_line(tmp_path: Path, key: str, value: object, says: str) -> None:
    path = kept(tmp_path, {**DOCUMENT, key: value})
    with pytest.raises(ManifestError) as error:
        manifests.read(path)
    assert str(error.value).startswith(f"{path}")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_system_from_elsewhere_says_what_it_wants_of_a_run(tmp_path: Path) -> None:
    manifests.write(Manifest(systems={"clock": {"zones": ["CET"]}}), tmp_path)
    manifest = manifests.read(tmp_path / manifests.NAME)
    assert (manifest.of_system("clock"), manifest.of_system("sundial")) == ({"zones": ["CET"]}, {})


def test_durations_add_up_to_those_before() -> None:
    manifest = Manifest().with_durations(network=1.0).with_durations(whole=5.0)
    assert manifest.durations_s == {"network": 1.0, "whole": 5.0}


def test_a_manifest_cannot_be_changed_behind_a_reader(tmp_path: Path) -> None:
    manifest = manifests.read(kept(tmp_path, DOCUMENT))
    with pytest.raises(AttributeError):
        manifest.status = FINISHED  # type: ignore[misc]
    assert replace(manifest, status="failed").status == "failed"
