"""A repository over sockets: whole blobs and parts of them, conditions, clients that do not read, its own bad input."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.agents.functions.blobs import Source
from testbed.faas.delivery import manifest as manifests
from testbed.faas.delivery.blobs import digest_of
from testbed.runtime.polling import wait_until
from tests.repository_process import RepositoryOfTest, repository

CODE = b"def main(args): return args\n"


def functions(folder: Path, layer_octets: int = 100_000) -> dict[str, Source]:
    """A function with a layer."""
    (folder / "echo.py").write_bytes(CODE)
    (folder / "layer").mkdir()
    (folder / "layer" / "model").write_bytes(bytes(range(256)) * (layer_octets // 256))
    return {"echo": Source(folder / "echo.py", "python:3", layers={"model": folder / "layer"})}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RepositoryOfTest]:
    folder = tmp_path_factory.mktemp("repository")
    with repository(folder / "here", functions(folder)) as standing:
        yield standing


@pytest.fixture
def layer(running: RepositoryOfTest) -> manifests.Layer:
    manifest = manifests.read(running.get(f"/manifests/{running.digest('echo')}")[2])
    return manifest.layers[0]


def test_a_manifest_and_its_blobs_are_what_their_digests_say(running: RepositoryOfTest) -> None:
    digest = running.digest("echo")
    octets = running.get(f"/manifests/{digest}")[2]
    assert digest_of(octets) == digest
    manifest = manifests.read(octets)
    assert running.get(f"/blobs/{manifest.code.digest}")[2] == CODE
    for blob in manifest.blobs:
        status, head, body = running.get(f"/blobs/{blob.digest}")
        assert (status, len(body), digest_of(body)) == (200, blob.octets, blob.digest)
        assert (head["ETag"], head["Accept-Ranges"]) == (f'"{blob.digest}"', "bytes")


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, None),
        ("bytes=100-199", 100, 200),
        ("bytes=-50", -50, None),
        ("bytes=5-9999999", 5, None),
    ],
)
def test_a_part_is_served_from_octet_to_octet(
    running: RepositoryOfTest, layer: manifests.Layer, asked: str, first: int, end: int | None
) -> None:
    whole = running.get(f"/blobs/{layer.blob.digest}")[2]
    status, head, body = running.get(f"/blobs/{layer.blob.digest}", Range=asked)
    assert (status, body) == (206, whole[first:end])
    begin = first % len(whole)
    assert head["Content-Range"] == f"bytes {begin}-{begin + len(body) - 1}/{len(whole)}"


def test_a_part_that_there_is_not_is_refused_with_the_length(running: RepositoryOfTest, layer: manifests.Layer) -> None:
    status, head, _ = running.get(f"/blobs/{layer.blob.digest}", Range=f"bytes={layer.blob.octets}-")
    assert (status, head["Content-Range"]) == (416, f"bytes */{layer.blob.octets}")


@pytest.mark.parametrize("asked", ["octets=0-1", "bytes=1-0", "bytes=0-1,4-5", "bytes=", "x"])
def test_a_range_that_is_none_is_left_alone(running: RepositoryOfTest, layer: manifests.Layer, asked: str) -> None:
    status, _, body = running.get(f"/blobs/{layer.blob.digest}", Range=asked)
    assert (status, len(body)) == (200, layer.blob.octets)


def test_a_part_of_something_else_is_sent_whole(running: RepositoryOfTest, layer: manifests.Layer) -> None:
    tag = f'"{layer.blob.digest}"'
    path = f"/blobs/{layer.blob.digest}"
    assert running.get(path, **{"Range": "bytes=5-", "If-Range": '"another"'})[0] == 200
    assert running.get(path, **{"Range": "bytes=5-", "If-Range": tag})[0] == 206
    assert running.get(path, **{"If-None-Match": f'"a", W/{tag}'})[0] == 304


def test_what_is_not_there_is_404_and_what_is_not_asked_for_405(running: RepositoryOfTest) -> None:
    for path in ("/x", "/blobs/", f"/blobs/{digest_of(b'none')}", "/blobs/../../etc/passwd", "/manifests/echo"):
        assert running.get(path)[0] == 404
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as opened:
        opened.sendall(b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert opened.recv(1 << 16).startswith(b"HTTP/1.1 405")


def test_what_was_served_is_counted(running: RepositoryOfTest, layer: manifests.Layer) -> None:
    before = running.document("/")["bytes"]
    running.get(f"/blobs/{layer.blob.digest}", Range="bytes=10-29")
    assert running.document("/")["bytes"] - before == 20


def test_a_client_that_does_not_read_is_cut_off_and_holds_nobody_up(tmp_path: Path) -> None:
    with repository(tmp_path / "here", functions(tmp_path, 40_000_000), stalled_s=0.5, connections=3) as slow:
        digest = manifests.read(slow.get(f"/manifests/{slow.digest('echo')}")[2]).layers[0].blob.digest
        with socket.create_connection(("127.0.0.1", slow.port), timeout=30) as opened:
            opened.sendall(f"GET /blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_until(lambda: slow.document("/")["not_taken"] == 1, 20, "the end of its patience")
            with pytest.raises(ConnectionResetError):
                while opened.recv(1 << 20):
                    pass


def test_connections_beyond_the_limit_are_closed(tmp_path: Path) -> None:
    with repository(tmp_path / "here", functions(tmp_path), connections=2) as small:
        opened = [socket.create_connection(("127.0.0.1", small.port), timeout=30) for _ in range(2)]
        with (
            pytest.raises(ConnectionResetError),
            socket.create_connection(("127.0.0.1", small.port), timeout=30) as third,
        ):
            third.recv(1)
        for one in opened:
            one.close()


def test_at_its_end_its_counts_are_recorded_and_its_blobs_are_gone(tmp_path: Path) -> None:
    with repository(tmp_path / "here", functions(tmp_path)) as one:
        digest = one.digest("echo")
        octets = len(one.get(f"/manifests/{digest}")[2])
    assert one.process.returncode == 0
    assert list((one.folder / "store").iterdir()) == []
    with next(one.folder.glob("control.*")).open() as table:
        rows = {row["kind"]: row for row in csv.DictReader(table)}
    assert (rows["content"]["bytes"], rows["content"]["direction"]) == (str(octets), "sent")


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path) -> None:
    with repository(tmp_path / "here", functions(tmp_path)) as one:
        one.kill()
        assert one.blob_files()
        (one.blob_files()[0].parent / "other").touch()
        one.start_again()
        assert "other" not in [path.name for path in one.blob_files()]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"code": "/none.py"}, "functions.echo: /none.py: No such file"),
        ({"kind": 7}, "functions.echo.kind"),
        ({"layers": {"x": "/none"}}, "functions.echo: /none: No such file"),
        ({"limits": {"memory_mb": 0}}, "functions.echo.limits.memory_mb"),
    ],
)
def test_a_configuration_that_cannot_be_is_one_line(tmp_path: Path, changed: dict[str, Any], said: str) -> None:

    (tmp_path / "echo.py").write_bytes(CODE)
    document = {
        "name": "repository", "out_dir": str(tmp_path), "address": "127.0.0.1", "port": 0, "store_dir": str(tmp_path),
        "functions": {"echo": {"code": str(tmp_path / "echo.py"), "kind": "python:3", **changed}},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "testbed.agents.repository", str(tmp_path / "config.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
