"""Certificates and passwords of a run: who has which, and that they stand in no configuration."""

from __future__ import annotations

import json
import ssl
import stat
from pathlib import Path

import pytest

from testbed.agents.http import passwords
from testbed.agents.http.passwords import PasswordsError
from testbed.experiment.systems.alto.launch import process_configs
from testbed.experiment.systems.alto.launch.credentials import Credentials
from testbed.experiment.systems.alto.plan.plan import AltoPlan
from tests.function_scenarios import functions_plan


def secured(**alto: object) -> AltoPlan:
    return functions_plan(alto={"site": "east", **alto}, delivery={"repository": "east", "site": "east"})


def test_servers_of_alto_are_asked_by_https_and_others_are_not() -> None:
    urls = {kind: server.url.partition(":")[0] for kind, server in secured(tls=True).servers.items()}
    assert urls == {"alto": "https", "alto-client": "https", "cluster-client": "http", "repository": "http"}
    assert {server.scheme for server in secured().servers.values()} == {"http"}


def test_files_are_made_for_each_server_and_the_authority_has_no_key_among_them(tmp_path: Path) -> None:
    plan = secured(tls=True, authentication="digest")
    own = Credentials.of(plan, tmp_path)
    own.write(plan)
    assert {path.name for path in tmp_path.iterdir()} == {
        "authority.pem", "alto.pem", "alto.key", "alto-client.pem", "alto-client.key", "alto.users",
    }  # fmt: skip
    for name in ("alto.key", "alto-client.key", "alto.users"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for kind in ("alto", "alto-client"):
        context.load_cert_chain(own.certificate(kind) or "", own.key(kind))


def test_configurations_name_files_and_have_no_secret(tmp_path: Path) -> None:
    plan = secured(tls=True, authentication="digest")
    own = Credentials.of(plan, tmp_path)
    own.write(plan)
    (password,) = passwords.read(tmp_path / "alto.users").values()
    said = ""
    for kind, server in plan.servers.items():
        config = process_configs.server(plan, kind, server, "me:key", tmp_path, tmp_path, own)
        said += json.dumps(config.to_document())
    assert password not in said and "PRIVATE" not in said
    assert said.count(str(tmp_path / "alto.users")) == 2, "the server's, and its client's"
    assert said.count(str(tmp_path / "authority.pem")) == 2, "the ALTO client's, and the cluster client's"


def test_without_the_keys_there_is_nothing(tmp_path: Path) -> None:
    own = Credentials.of(secured(), tmp_path)
    own.write(secured())
    assert not any(tmp_path.iterdir())
    assert (own.authority, own.users, own.certificate("alto"), own.key("alto")) == (None, None, None, None)


@pytest.mark.parametrize("content", [None, b"", b"me", b"me:", b":secret", b"\xff\xfe"])
def test_a_file_that_has_no_passwords_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "users"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PasswordsError, match=r"users: .*NAME:PASSWORD"):
        passwords.read(path)
