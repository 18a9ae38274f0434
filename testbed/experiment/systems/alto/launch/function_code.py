"""The code of a function, from the scenario's folder to what a cluster is sent; what is wrong with it is said before.

Owns what a folder becomes (a zip archive that is the same for the same files), and the check that there is a handler.
"""

from __future__ import annotations

import ast
import base64
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from testbed.agents.cluster.sandboxes import view
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.alto.keys.function import FunctionKeys
from testbed.experiment.systems.alto.plan.plan import AltoPlan
from testbed.faas.actions import documents
from testbed.faas.actions.action import BLACKBOX, LAYERS, PYTHON, Action, Code
from testbed.faas.actions.archive import HANDLERS
from testbed.faas.actions.documents import Offer
from testbed.faas.errors import ApiError
from testbed.faas.limits import ClusterLimits

_EPOCH = (1980, 1, 1, 0, 0, 0)  # of all entries, so that an archive follows from its files' content
_FILE_MODE = 0o755 << 16
_LEFT_OUT = "__pycache__"
_MAIN = "main"


def check(plan: AltoPlan, source: Path) -> None:
    """Raise ScenarioError, naming source and key, for code or a layer that a cluster could not run."""
    offer = Offer(view.kinds(), frozenset(layers(plan)), ClusterLimits())
    for name, keys in plan.scenario.functions.items():
        try:
            _check(name, keys, plan, offer)
        except (ApiError, ValueError) as error:
            raise ScenarioError(f"{source}: functions.{name}.{error}") from error


def document(keys: FunctionKeys, folder: Path) -> dict[str, Any]:
    """Return what creates a function at a cluster, as the platform's API has it. Raises ValueError naming the key."""
    text, is_archive = _code(keys, folder)
    executed: dict[str, Any] = {"kind": keys.kind, "code": text, "binary": is_archive}
    return {
        "exec": executed | ({"main": keys.main} if keys.main else {}),
        "limits": {"timeout": round(1000 * keys.timeout_s), "memory": keys.memory_mb},
        "parameters": [{"key": key, "value": value} for key, value in keys.parameters.items()],
        "annotations": [{"key": LAYERS, "value": list(keys.layers)}],
    }


def layers(plan: AltoPlan) -> dict[str, Path]:
    """Return the folders of all layers, by name."""
    return {
        layer: plan.folder / folder
        for keys in plan.scenario.functions.values()
        for layer, folder in keys.layers.items()
    }


def _check(name: str, keys: FunctionKeys, plan: AltoPlan, offer: Offer) -> None:
    for layer, folder in keys.layers.items():
        if not (plan.folder / folder).is_dir():
            raise ValueError(f"layers.{layer}: {plan.folder / folder} is no folder; make it, or correct the path")
    if keys.kind not in offer.kinds:
        raise ValueError(f"kind: there is no {keys.kind} on this machine, only {', '.join(offer.kinds)}")
    body = document(keys, plan.folder)
    try:
        documents.check_name(name)
        documents.action_of(body, None, Action("guest", name, Code(keys.kind)), offer)
    except ApiError as error:
        raise ValueError(f"code: {error}") from error
    _check_handler(keys, _sources(keys.kind, body["exec"]))


def _code(keys: FunctionKeys, folder: Path) -> tuple[str, bool]:
    """Return the code as it stands in a request, and whether it is an archive."""
    path = folder / keys.code
    try:
        if path.is_dir():
            return base64.b64encode(_packed(path)).decode(), True
        octets = path.read_bytes()
    except OSError as error:
        raise ValueError(f"code: cannot read {path}: {error.strerror}; is the path right?") from error
    if zipfile.is_zipfile(io.BytesIO(octets)):
        return base64.b64encode(octets).decode(), True
    if keys.kind == BLACKBOX:
        raise ValueError(f"code: {path} must be a folder or zip archive with a program {HANDLERS[BLACKBOX][0]}")
    try:
        return octets.decode(), False
    except UnicodeDecodeError:
        raise ValueError(f"code: {path} is neither source in UTF-8 nor a zip archive") from None


def _packed(folder: Path) -> bytes:
    """Return the files of a folder as an archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            within = path.relative_to(folder)
            if path.is_file() and _LEFT_OUT not in within.parts:
                entry = zipfile.ZipInfo(str(within), _EPOCH)
                entry.external_attr, entry.compress_type = _FILE_MODE, zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def _sources(kind: str, executed: dict[str, Any]) -> str | None:
    """Return the source in which the handler must be; None where that cannot be looked into."""
    if not executed["binary"]:
        return str(executed["code"])
    if kind != PYTHON:
        return None
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(executed["code"]))) as archive:
        return archive.read(HANDLERS[PYTHON][0]).decode(errors="replace")


def _check_handler(keys: FunctionKeys, source: str | None) -> None:
    handler = keys.main or _MAIN
    if source is None:
        return
    if keys.kind != PYTHON:
        if handler not in source:
            raise ValueError(f"code: {keys.code} has no function {handler}; name another by main")
        return
    try:
        names = set(_names_in(ast.parse(source).body))
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ValueError(f"code: {keys.code}{where} is no Python: {getattr(error, 'msg', error)}") from error
    if handler not in names:
        raise ValueError(f"code: {keys.code} has no function {handler}; name another by main")


def _names_in(body: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that statements bind in their own scope."""
    for statement in body:
        match statement:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                yield name
            case ast.alias(name, asname):
                yield _MAIN if name == "*" else (asname or name).partition(".")[0]
            case ast.Name(name, ast.Store()):
                yield name
            case _:
                yield from _names_in(ast.iter_child_nodes(statement))
