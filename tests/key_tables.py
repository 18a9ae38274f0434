"""The tables of keys in docs/processes.md, made from the dataclasses that processes are configured by.

A key's meaning is the string below its field. `python -m tests.key_tables` writes the tables into the page, each
between the marks that name its process; a test says when they are out of date.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from testbed.cli.machine.checkout import ROOT
from testbed.runtime.document import MISSING, Merged, Section, Tagged, section
from testbed.runtime.forms import Form, Listed, Mapped, Nullable
from tests.process_configs import PROCESSES

PAGE = ROOT / "docs" / "processes.md"
_BEGIN, _END = "<!-- keys of: {} -->\n", "<!-- end of keys -->\n"


class Row(NamedTuple):
    """A key: what may stand there, what it is where it is absent, what it means."""

    key: str
    form: str
    default: str
    meaning: str


def written(page: str) -> str:
    """Return a page with its tables as they should be."""
    for name, kind in PROCESSES.items():
        begin = page.index(_BEGIN.format(name)) + len(_BEGIN.format(name))
        end = page.index(_END, begin)
        page = page[:begin] + "\n" + "\n".join(_tables(kind)) + "\n" + page[end:]
    return page


def _tables(kind: type[Any]) -> Iterator[str]:
    """Return the lines of a process's table, and of those of the objects in it, each once."""
    waiting: list[tuple[str, Section | Tagged]] = [("", section(kind))]
    found: dict[int, tuple[list[str], Section | Tagged]] = {}
    while waiting:
        path, of = waiting.pop(0)
        names, _ = found.setdefault(id(of), ([], of))
        names.append(path)
        if len(names) == 1:
            waiting += [(f"{path}.{key}".lstrip("."), inner) for key, inner in _objects(of)]
    for names, of in found.values():
        if names != [""]:
            yield "Keys of " + " and ".join(f"`{name}`" for name in names) + ":\n"
        yield "| key | value | default | meaning |\n|---|---|---|---|"
        yield from ("| " + " | ".join(row) + " |" for row in _rows(of))
        yield ""


def _rows(of: Section | Tagged) -> Iterator[Row]:
    if isinstance(of, Tagged):
        yield from _tagged_rows(of)
        return
    for name, form, default in of.fields:
        if isinstance(form, Merged):
            yield from _rows(form.of)
        else:
            yield Row(f"`{name}`", _words(form), _default(form, default), meanings(of.kind)[name])


def _tagged_rows(of: Tagged) -> Iterator[Row]:
    """Return the rows of all kinds: what they share once, what is one's own after its word."""
    yield Row(f"`{of.tag}`", ", ".join(f"`{word}`" for word in of.kinds), "required", "Which of them it is.")
    rows: dict[Row, list[str]] = {}
    for word, kind in of.kinds.items():
        for row in _rows(kind) if kind else ():
            rows.setdefault(row, []).append(word)
    for row, words in rows.items():
        is_shared = len(words) == len(of.kinds)
        yield row if is_shared else row._replace(meaning=f"{', '.join(f'`{word}`' for word in words)}: {row.meaning}")


def _objects(of: Section | Tagged) -> Iterator[tuple[str, Section | Tagged]]:
    """Return the objects that stand at keys, and below which."""
    kinds = [kind for kind in of.kinds.values() if kind] if isinstance(of, Tagged) else [of]
    for kind in kinds:
        for name, form, _ in kind.fields:
            if isinstance(form, Merged):
                yield from _objects(form.of)
            else:
                yield from ((f"{name}{suffix}", inner) for suffix, inner in _inner(form))


def _inner(form: Form) -> Iterator[tuple[str, Section | Tagged]]:
    if isinstance(form, Section | Tagged):
        yield "", form
    elif isinstance(form, Nullable):
        yield from _inner(form.of)
    elif isinstance(form, Listed | Mapped):
        suffix = "[]" if isinstance(form, Listed) else ".*"
        yield from ((f"{suffix}{rest}", inner) for rest, inner in _inner(form.of))


def _words(form: Form) -> str:
    return form.words.replace("|", "\\|")


def _default(form: Form, default: Any) -> str:
    if default is MISSING:
        return "required"
    document = form.put(default)
    return "see below" if isinstance(document, dict) and document else f"`{json.dumps(document)}`"


@cache
def meanings(kind: type[Any]) -> dict[str, str]:
    """Return what the fields of a dataclass mean, inherited ones included. KeyError: nobody says."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        (tree,) = ast.parse(inspect.getsource(base)).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            match field, text:
                case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(meaning))):
                    found[name] = " ".join(meaning.split())
    return found


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
