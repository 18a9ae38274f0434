"""Programs in scenario files: what is accepted, filled in and refused, each time in one line that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.agents.command_instance.config import CommandConfig
from testbed.experiment.scenario.file import ScenarioError, dump, parse
from testbed.experiment.systems.dyncast.keys.command import filled
from testbed.experiment.systems.dyncast.launch import command_configs, process_configs, workload_files
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.runtime.config import ConfigError
from tests.scenarios import dyncast_plan
from topologies.spec import TopologyError
from traffic.config import HttpWorkloadConfig

LOAD = {"name": "load", "service": "web", "clients": ["east"], "command": "sh -c 'true {url}'"}


def document(**changes: Any) -> dict[str, Any]:
    return {
        "name": "commands",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "west": {"at": "Denver"}},
        "services": {
            "web": {"d_sid": "203.0.113.10", "kind": "command", "port": 8080},
            "echo": {"d_sid": "2001:db8::10", "kind": "command", "port": 7, "protocol": "udp"},
            "render": {"d_sid": "203.0.113.12"},
        },
        "instances": [
            {"service": "web", "site": "east", "count": 2, "workers": 3, "speed": 2,
             "command": "sh {folder}/a.sh {port}",
             "environment": {"SITE": "{site}"}, "files": {"a.sh": "echo {instance} {{port}} ${HOME}\n"}},
            {"service": "echo", "site": "west", "command": ["cat", "{host}", "{scenario_folder}/x y"],
             "ready": {"output": "^up"},
             "metrics": {"source": "http", "url": "http://localhost:81/s",
                         "values": {"sessions": "/n", "service_time_ms": {"at": "/t", "times": 1000}}}},
            {"service": "render", "site": "west"},
        ],
        "clients": [{"site": "east", "count": 2}],
        "workloads": [LOAD],
        "duration_s": 10,
    } | changes  # fmt: skip


def plan(**changes: Any) -> DyncastPlan:
    return dyncast_plan(parse(document(**changes), "my.yaml"), Path("/scenarios/my.yaml"))


def _changed(path: str, value: Any) -> dict[str, Any]:
    changed = yaml.safe_load(yaml.safe_dump(document()))
    place: Any = changed
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return dict(changed)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("services.web.port", None, ["services.web", "needs port"]),
        ("services.web.port", 9100, ["services.web.port", "9100", "metrics"]),
        ("services.web.policy", "oracle", ["services.web", "oracle"]),
        ("services.render.protocol", "udp", ["services.render", "protocol", "kind command"]),
        ("instances.0.command", None, ["instances[0].command", "is missing"]),
        ("instances.0.command", "sh 'x", ["instances[0].command", "No closing quotation"]),
        ("instances.0.command", "sh {prot}", ["instances[0].command[1]", "{prot}", "{port}", "{{prot}}"]),
        ("instances.0.environment", {"A": "{d_sid}"}, ["instances[0].environment.A", "{d_sid}"]),
        ("instances.0.environment", {"A B": "x"}, ["instances[0].environment"]),
        ("instances.0.files", {"a": "{nothing}"}, ["instances[0].files.a", "{nothing}"]),
        ("instances.0.files", {"../a": ""}, ["instances[0].files"]),
        ("instances.0.mode", "burn", ["instances[0].mode", "cpu_limit"]),
        ("instances.0.ready", {"http": "/", "output": "up"}, ["instances[0].ready", "either"]),
        ("instances.1.ready", {"http": "/"}, ["instances[1].ready.http", "UDP"]),
        ("instances.1.ready", {"output": "("}, ["instances[1].ready", "regular expression"]),
        ("instances.1.metrics", {"source": "http"}, ["instances[1].metrics", "url and values"]),
        ("instances.1.metrics", {"values": {"sessions": "/n"}}, ["instances[1].metrics", "source: http"]),
        ("instances.1.metrics.url", "http://example.org/", ["instances[1].metrics.url"]),
        ("instances.1.metrics.values", {"colour": "/n"}, ["instances[1].metrics", "colour", "sessions"]),
        ("instances.1.metrics.values", {"sessions": "n"}, ["instances[1].metrics.values.sessions"]),
        ("instances.2.command", "true", ["instances[2].command", "kind command", "http"]),
        ("workloads.0.command", "true {instance}", ["workloads[0]", "command[1]", "{instance}"]),
        ("workloads.0.command", "", ["workloads[0].command"]),
        ("workloads.0.arrivals", {"rate_per_s": 5}, ["workloads[0].arrivals", "start_s and end_s"]),
        ("workloads.0.arrivals", {"process": "poisson", "rate_per_s": 5}, ["workloads[0]", "started once"]),
        ("workloads.0.service", "echo", []),
        ("captures", [{"name": "a"}], ["captures[0]", "either host or link"]),
        ("captures", [{"name": "a", "host": "x"}, {"name": "a", "host": "x"}], ["captures[1].name", "twice"]),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_that_names_the_key(path: str, value: Any, words: list[str]) -> None:
    if not words:  # a command may go to any service
        parse(_changed(path, value), "my.yaml")
        return
    with pytest.raises(ScenarioError) as caught:
        parse(_changed(path, value), "my.yaml")
    message = str(caught.value)
    assert "\n" not in message
    for word in ["my.yaml: ", *words]:
        assert word in message


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        ({"name": "x", "service": "echo", "clients": ["east"], "arrivals": {"rate_per_s": 1}}, "no generator speaks"),
        ({"name": "x", "service": "web", "clients": ["east"], "arrivals": {"process": "once"}}, "is for a command"),
        ({"name": "x", "service": "web", "clients": ["east"]}, "arrivals: Field required"),
        ({**LOAD, "arrivals": {"start_s": 10}}, "the window is empty"),
    ],
)
def test_workloads_that_do_not_fit_their_service(workload: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        parse(document(workloads=[workload]), "my.yaml")


def test_what_is_written_out_reads_back_the_same() -> None:
    scenario = parse(document(captures=[{"name": "a", "host": "client-1@east"}]), "my.yaml")
    assert parse(yaml.safe_load(dump(scenario)), "again") == scenario


def test_placeholders_are_filled_and_other_braces_left_alone() -> None:
    values = {"port": 80, "folder": "/f"}
    assert filled('{port} {{port}} {"a": {}} ${HOME} {Port} { port } {folder}/x', values) == (
        '80 {port} {"a": {}} ${HOME} {Port} { port } /f/x'
    )


def test_an_instance_is_told_what_to_run_and_finds_its_files(tmp_path: Path) -> None:
    made = plan()
    web, echo = (next(item for item in made.instances if item.service == name) for name in ("web", "echo"))
    config = command_configs.instance(made, web, tmp_path, tmp_path / "logs")
    folder = tmp_path / "logs" / web.name
    assert config.argv == ("sh", f"{folder}/a.sh", "8080")
    assert (config.port, config.protocol, config.workers, config.service_time_ms) == (8080, "tcp", 3, 25.0)
    assert config.environment == ("SITE=east",)
    assert (folder / "a.sh").read_text() == f"echo {web.name} {{port}} ${{HOME}}\n"
    config = command_configs.instance(made, echo, tmp_path, tmp_path / "logs")
    assert config.argv == ("cat", echo.d_bid, "/scenarios/x y")
    assert config.application is not None and config.application.pointers["service_time_ms"].times == 1000
    assert config.ready.expression is not None and config.ready.expression.search("well\nup and away")


def test_clients_are_told_when_and_what_each_for_itself(tmp_path: Path) -> None:
    command = ["true", "{url}", "{duration_s}", "{seed}", "{client}", "{host}"]
    made = plan(workloads=[{**LOAD, "command": command, "arrivals": {"start_s": 2, "end_s": 8.5}}], seed=3)
    first, second = command_configs.loads(made, 100.0, tmp_path, tmp_path / "logs")
    assert [client.name for client, _ in (first, second)] == ["client-1@east", "client-2@east"]
    config = first[1]
    address = str(made.addresses.host("client-1@east").ipv4.ip)
    assert config.argv == ("true", "http://203.0.113.10:8080/", "6.5", "3000", "client-1@east", address)
    assert second[1].argv[3] == "3001"
    assert (config.start_s, config.end_s, config.patience_s) == (102.0, 108.5, 10.0)
    assert config.output == "logs/load.client-1@east/output.log"
    assert workload_files.write(made, tmp_path / "arrivals", tmp_path)["client-1@east"] == []


def test_a_command_that_is_not_told_how_long_is_ended_with_its_window(tmp_path: Path) -> None:
    ((_, config), _) = command_configs.loads(plan(), 0.0, tmp_path, tmp_path / "logs")
    assert (config.end_s, config.patience_s) == (10.0, 0.0)


def test_a_generator_may_ask_a_command_that_speaks_http(tmp_path: Path) -> None:
    requests = {"name": "requests", "service": "web", "clients": ["east"], "arrivals": {"rate_per_s": 5}}
    made = plan(workloads=[requests])
    configured = workload_files.write(made, tmp_path / "arrivals", tmp_path)
    (config,) = configured["client-1@east"]
    assert isinstance(config, HttpWorkloadConfig) and config.port == 8080


def test_programs_that_are_missing_are_named_with_who_runs_them() -> None:
    command_configs.check_programs(plan(), Path("my.yaml"))
    workload = {**LOAD, "command": "no-such-program {url}"}
    with pytest.raises(
        ScenarioError, match=r"my.yaml: workloads\[0\].command: no-such-program is not on PATH; client-1"
    ):
        command_configs.check_programs(plan(workloads=[workload]), Path("my.yaml"))
    instances = document()["instances"]
    for program, words in (("bin/x", "{scenario_folder}/bin/x"), ("/etc/passwd", "is no program")):
        instances[1]["command"] = [program]
        with pytest.raises(ScenarioError) as caught:
            command_configs.check_programs(plan(instances=instances), Path("my.yaml"))
        assert f"instances[1].command: {program}" in str(caught.value) and words in str(caught.value)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"host": "client-1@eats"}, "client-1@east"),
        ({"link": ["east", "New Yrok"]}, "New York"),
        ({"link": ["east", "Denver"]}, "no link between"),
    ],
)
def test_captures_are_of_what_is_there(place: dict[str, Any], words: str) -> None:
    with pytest.raises((TopologyError, ScenarioError), match=words):
        plan(captures=[{"name": "x", **place}])


def test_an_instance_that_runs_no_command_is_told_as_before(tmp_path: Path) -> None:
    made = plan()
    number, item = next(pair for pair in enumerate(made.instances) if pair[1].service == "render")
    assert process_configs.instance(made, item, number, tmp_path).http_port == 80


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"argv": []}, "argv must be a list of strings"),
        ({"argv": ["sh", 3]}, r"argv\[1\] must be a string"),
        ({"port": 9100}, "port and admin_port are both 9100"),
        (
            {"application": {"url": "http://x/", "pointers": {"colour": {"at": "/", "times": 1}}}},
            "application.pointers.colour",
        ),
    ],
)
def test_a_process_that_is_told_nonsense_says_so(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    made = plan()
    told = command_configs.instance(made, made.instances[0], tmp_path, tmp_path / "logs")
    with pytest.raises(ConfigError, match=words):
        CommandConfig.from_document({**told.to_document(), **change})
