"""Templates for what is added most often, put into place as CONTRIBUTING.md says, work."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import yaml

from testbed import experiment
from tests.floor_plan import ROOT
from tests.templates import TEMPLATES, Copy

CHOOSE = """
from ipaddress import ip_address
from testbed.dyncast import policies
from testbed.dyncast.metrics.levels import RawMetrics
policy = policies.create("most_free")
seen = [policies.Candidate(ip_address(f"10.{number}.0.1"), "site", 0.0, 0.0, RawMetrics(8, busy), 0.0)
        for number, busy in enumerate((7, 2, 8))]
print(policy.weights(seen, 0.0))
"""


def test_the_template_of_a_policy_is_a_policy(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    package = "testbed/dyncast/policies/__init__.py"
    copy.place("policy.py", "testbed/dyncast/policies/most_free.py")
    copy.add("    most_free,", to=package, after="from testbed.dyncast.policies import (", said=False)
    copy.add('"most_free": most_free.MostFree,', to=package, after="POLICIES")
    assert copy.python("-c", CHOOSE) == "{IPv4Address('10.1.0.1'): 1.0}\n"
    example = str(ROOT / "docs/examples/first.yaml")
    assert "good." in copy.python("-m", "testbed.cli", "validate", example, "--set", "policy=most_free")


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_template_of_a_client_asks_until_its_time_is_over_and_prints_its_figures() -> None:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        command = [sys.executable, str(TEMPLATES / "workload/client.py"), url, "0.3"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        server.shutdown()
    figures = json.loads(done.stdout)
    assert figures["requests"] > 1
    assert figures["failed"] == 0


def test_the_scenario_of_that_client_is_good() -> None:
    scenario = experiment.load(TEMPLATES / "workload/scenario.yaml")
    document = yaml.safe_load((TEMPLATES / "workload/scenario.yaml").read_text(encoding="utf-8"))
    (workload,) = scenario.workloads
    assert list(workload.command or ()) == document["workloads"][0]["command"].split()
