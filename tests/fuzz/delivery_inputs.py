"""What repositories may send to a cluster, as octets: manifests, and archives of layers."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from pathlib import Path

from testbed.agents.functions import layers
from testbed.faas.delivery import manifest as manifests
from testbed.faas.delivery.layer_archive import LayerError
from testbed.faas.delivery.manifest import FunctionError
from tests.delivery_samples import HERE, PlayedDeliveries, blob, function

_WHOLE = function("detect", b"code", opencv=b"an archive", model=b"another")
MANIFESTS = [_WHOLE.octets, function().octets]


def _layer() -> bytes:
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w", format=tarfile.PAX_FORMAT) as opened:
        for name, kind, target, content in (
            ("inner", tarfile.DIRTYPE, "", b""),
            ("inner/file", tarfile.REGTYPE, "", b"x" * 600),
            ("inner/link", tarfile.SYMTYPE, "../inner/file", b""),
            ("l\u00e4nger" * 30, tarfile.REGTYPE, "", b""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, target, len(content)
            opened.addfile(entry, io.BytesIO(content))
    return octets.getvalue()


LAYERS = [_layer()]


def manifest(data: bytes) -> None:
    """A manifest is read or refused; a delivery of it goes on or fails, and has an end."""
    try:
        found = manifests.read(data)
    except FunctionError:
        return
    assert manifests.read(found.octets) == found
    played = PlayedDeliveries()
    played.core.begin("1", blob(data).digest, HERE, 0.0)
    played.collect()
    played.manifest_comes("1", data)
    assert played.state("1") in ("blobs", "failed")
    played.pass_s(1000.0)
    assert played.state("1") == "failed"


def layer(data: bytes) -> None:
    """A layer is unpacked, inside its folder, or refused, and leaves nothing then."""
    with tempfile.TemporaryDirectory() as name:
        archive, out = Path(name, "archive"), Path(name, "inner", "out")
        archive.write_bytes(data)
        out.parent.mkdir()
        try:
            layers.unpack(archive, out)
        except LayerError:
            assert not list(out.parent.iterdir())
            return
        assert [path.name for path in out.parent.iterdir()] == ["out"]
        assert sorted(path.name for path in Path(name).iterdir()) == ["archive", "inner"]
        for path in out.rglob("*"):
            end = Path(os.path.realpath(path))
            assert out.resolve() in (end, *end.parents)
