"""Errors: one base with exit codes, and a docstring that shows the whole tree."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from testbed import errors
from testbed.cli.machine.checkout import ROOT
from testbed.emulation.netns.namespaces import NamespaceError
from testbed.errors import InputError, TestbedError
from testbed.runtime.forked_process import ForkError

PACKAGES = ("testbed", "topologies", "traffic", "ryu_apps")


def _classes() -> Iterator[tuple[str, str, set[str]]]:
    """Module, name and names of the bases of each class of the product."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    yield module, node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases}


def _public_errors() -> list[tuple[str, str]]:
    """Module and name of each public exception class of the product."""
    kinds = {
        name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    classes = list(_classes())
    while new := {name for _, name, bases in classes if bases & kinds} - kinds:
        kinds |= new
    return sorted((module, name) for module, name, bases in classes if bases & kinds and not name.startswith("_"))


PUBLIC = _public_errors()


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_every_public_error_derives_from_the_base(module: str, name: str) -> None:
    kind = getattr(import_module(module), name)
    assert issubclass(kind, TestbedError)
    assert kind.exit_code == (2 if issubclass(kind, InputError) or name == "NoCheckout" else 1)


def test_the_docstring_shows_the_whole_tree() -> None:
    tree = str(errors.__doc__).partition("\n\n    ")[2]
    names = {name for _, name in PUBLIC}
    words = [word for word in re.findall(r"\w+", tree) if not hasattr(builtins, word)]
    assert sorted(word for word in words if word in names or word.endswith("Error")) == sorted(names)


def test_an_error_of_the_system_keeps_its_number() -> None:
    from testbed.emulation.netns.namespaces import NamespaceError

    error = NamespaceError(2, "no such thing", "/proc/1/ns/net")
    assert (error.errno, error.strerror, error.filename) == (2, "no such thing", "/proc/1/ns/net")


def test_an_error_of_a_system_call_is_its_line_alone() -> None:
    assert (
        str(NamespaceError(0, "cannot make a network namespace: no room")) == "cannot make a network namespace: no room"
    )
    assert str(NamespaceError(13, "cannot enter it: Permission denied; run as root")).startswith("cannot enter it: ")
    assert str(ForkError("no process for x: its parent has died")) == "no process for x: its parent has died"
    assert str(InputError("policy: 'x' does not exist")) == "policy: 'x' does not exist"
