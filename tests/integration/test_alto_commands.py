"""`dyncast alto serve` and `get` through the launcher, as docs/alto/serve.md shows them; without root."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.cli.machine.checkout import ROOT

pytestmark = pytest.mark.timeout(180)

LAUNCHER = [str(ROOT / "dyncast"), "alto"]
DIRECT = [sys.executable, "-m", "testbed.cli", "alto"]
SCRIPT = """
- {at_s: 1, cost-map: delay-ow-numerical, from: ATLAng, to: CHINng, cost: 90000}
"""


@contextmanager
def served(*arguments: str, command: list[str] = DIRECT) -> Iterator[str]:
    """Have a server for the block, and the URL on its first line; Ctrl-C ends it cleanly."""
    process = subprocess.Popen(
        [*command, "serve", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, ""), said
    assert "Traceback" not in said


def get(*arguments: str, command: list[str] = DIRECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, "get", *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )


def test_the_launcher_starts_both_and_the_first_line_is_the_url() -> None:
    with served("sndlib/abilene", command=LAUNCHER) as url:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/directory", url)
        listed = get(url, command=LAUNCHER)
        assert listed.returncode == 0, listed.stderr
        assert "delay-ow-ordinal" in listed.stdout and "update stream" in listed.stdout


def test_tls_and_a_password_are_asked_for_and_given(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    arguments = ["sndlib/abilene", "--tls", "--cacert-out", str(authority), "--auth", "me:secret"]
    with served(*arguments) as url:
        assert url.startswith("https://")
        known = get(url, "net", "--json", "--cacert", str(authority), "--user", "me:secret")
        assert "ATLAng" in json.loads(known.stdout)["network-map"]
        for options, said in (
            (["--cacert", str(authority)], "--user NAME:PASSWORD"),
            (["--user", "me:secret"], "--cacert FILE"),
            (["--cacert", str(authority), "--user", "me:wrong"], "does not know 'me'"),
        ):
            refused = get(url, *options)
            assert refused.returncode == 1 and said in refused.stderr and url in refused.stderr
            assert refused.stdout == ""


def test_a_script_changes_what_is_followed(tmp_path: Path) -> None:
    script = tmp_path / "changes.yaml"
    script.write_text(SCRIPT.replace("at_s: 1", "at_s: 6"))
    with served("sndlib/abilene", "--script", str(script)) as url:
        followed = get(url, "delay-ow-numerical", "--filter", "src=ATLAng", "--follow", "--updates", "2", "--json")
        first, second = (json.loads(line) for line in followed.stdout.splitlines())
        assert first["cost-map"]["ATLAng"]["CHINng"] == 4247
        assert second["cost-map"]["ATLAng"]["CHINng"] == 90000


def test_a_scenario_is_served_with_its_sites_and_hosts() -> None:
    with served("docs/examples/first.yaml") as url:
        said = json.loads(get(url, "properties", "--json").stdout)["property-map"]
    sites = [name for name, properties in said.items() if properties.get(".kind") == "site"]
    assert sites
    assert sum(int(said[name][".hosts"]) for name in sites) > 0


def test_answers_are_tables_and_filters_narrow_them() -> None:
    with served("sndlib/abilene") as url:
        costs = get(url, "hopcount-numerical", "--filter", "src=ATLAM5", "--filter", "where=eq 1")
        assert re.search(r"ATLAM5\s+1", costs.stdout), costs.stdout
        properties = get(url, "endpoint-properties", "--filter", "endpoints=ipv4:172.31.0.3")
        assert "CHINng" in properties.stdout
        wrong = get(url, "costs-filtered", "--filter", "where=le x")
        assert wrong.returncode == 1
        assert "E_INVALID_FIELD_VALUE: field 'constraints', value 'le x'" in wrong.stderr and url[:-10] in wrong.stderr
        unknown = get(url, "cost")
        assert unknown.returncode == 2 and "there is no resource 'cost'; there are: net" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["get", "http://127.0.0.1:9/"], 1, "http://127.0.0.1:9/: no connection"),
        (["get", "ftp://127.0.0.1/"], 2, "is no http or https URI"),
        (["get", "http://127.0.0.1:9/", "--follow"], 1, "name it after the URL"),
        (["get", "http://127.0.0.1:9/", "net", "--cacert", "/none"], 2, "/none: No such file"),
        (["get", "http://127.0.0.1:9/", "net", "--filter", "colour=red"], 2, "one of the keys pids"),
        (["serve", "nowhere"], 2, "there is no topology 'nowhere'"),
        (["serve", "sndlib/abilene", "--auth", "me"], 1, "--auth must be USER:PASSWORD"),
        (["serve", "sndlib/abilene", "--cert", "x"], 1, "say --tls, or --cert and --key"),
        (["serve", "sndlib/abilene", "--cert", "/none", "--key", "/none"], 2, "/none: there is no such file"),
        (["serve", "sndlib/abilene", "--script", "/none"], 2, "/none: No such file"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(arguments: list[str], code: int, said: str) -> None:
    done = subprocess.run([*DIRECT, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
