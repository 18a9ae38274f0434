"""YAML documents: what is read means what is written, or is refused with its line; the one reader and writer of YAML.

Owns what a document may be. Scalars are those of YAML 1.2's core schema, so that `NO` and `12:30` are words and `1e-1`
is a number. A key is a word and stands once. `<<` merges. What an alias stands for is a copy. Depth and size are
bounded while values are built, so that no document costs more than its size. Knows nothing of which keys there are.

The parser is libyaml's. Its events are made into values here, because PyYAML's own composer follows YAML 1.1, keeps
the last of two equal keys, and nests as deep as a document says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from testbed.errors import InputError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some twenty times as fast, where it was built
_MOST_OCTETS = 16 << 20
_MOST_VALUES = 1_000_000  # copies that aliases stand for included
_DEEPEST = 64
_MOST_DIGITS = 1000
_SHOWN_CHARACTERS = 60  # of a word in an error

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")
_MERGE = "<<"
_OF_YAML = "tag:yaml.org,2002:"
_WORD_TAGS = ("!", f"{_OF_YAML}str")
_COLLECTION_TAGS = (None, "!", f"{_OF_YAML}map", f"{_OF_YAML}seq")


class YamlError(InputError):
    """A document that cannot be read, in one line: its source, the line in it, what is wrong."""


class _Refused(Exception):
    """What is wrong in the line of an event."""


def read(path: Path) -> Any:
    """Return what the document in a file says. Raises OSError, or YamlError for what is in it."""
    try:
        with path.open("rb") as stream:
            octets = stream.read(_MOST_OCTETS + 1)
    except ValueError as error:
        raise YamlError(f"{str(path)!r}: is no path: {error}") from error
    if len(octets) > _MOST_OCTETS:
        raise YamlError(f"{path}: is larger than {_MOST_OCTETS >> 20} MiB, and no file of ours")
    try:
        return parse(octets.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise YamlError(f"{path}: is no text file: {error}") from error


def parse(text: str, source: str) -> Any:
    """Return what a document says; `source` names it in errors. Raises YamlError."""
    values = _Values()
    event = None
    try:
        for event in yaml.parse(text, Loader=_Loader):
            values.take(event)
    except _Refused as error:
        assert event is not None
        raise YamlError(f"{source} line {_line(event)}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        last = len(text.splitlines()) or 1  # what is missing at the end, libyaml misses in the line after it
        place = f" line {min(mark.line + 1, last)}" if mark else ""
        raise YamlError(f"{source}{place}: is no YAML: {problem}") from error
    except (UnicodeEncodeError, RecursionError) as error:
        raise YamlError(f"{source}: is no YAML: {error}") from error
    return values.document


def dump(document: Any) -> str:
    """Return a document as YAML that every reader understands alike, be it one of YAML 1.1 or 1.2."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


class _Dumper(yaml.SafeDumper):
    """Puts in quotes whatever YAML 1.1 or 1.2 would take for something other than a word; uses no aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def represent_word(self, word: str) -> yaml.ScalarNode:
        """Write a word; line breaks other than that of Unix by name, for a reader makes spaces of some."""
        return self.represent_scalar(f"{_OF_YAML}str", word, style='"' if _OTHER_BREAKS.search(word) else None)


_Dumper.add_representer(str, _Dumper.represent_word)
for _tag, _pattern, _begins in (("int", _INTEGER, "-+0123456789"), ("float", _FLOAT, "-+.0123456789")):
    _Dumper.add_implicit_resolver(f"{_OF_YAML}{_tag}", re.compile(f"(?:{_pattern.pattern})$"), list(_begins))


# -- from events to values ----------------------------------------------------------------------------


class _List:
    """A list that is being read."""

    def __init__(self, anchor: str | None) -> None:
        self.anchor = anchor
        self.value: list[Any] = []

    @property
    def place(self) -> str:
        """Where the next value goes."""
        return f"[{len(self.value)}]"

    def add(self, value: Any, _event: Any) -> None:
        """Take the next value."""
        self.value.append(value)


class _Mapping:
    """A mapping that is being read; `place`, where the next value goes, is empty before a key."""

    def __init__(self, anchor: str | None) -> None:
        self.anchor = anchor
        self.place = ""
        self._key: str | None = None
        self._merges = False
        self._lines: dict[str, int] = {}
        self._own: dict[str, Any] = {}
        self._merged: dict[str, Any] = {}

    @property
    def value(self) -> dict[str, Any]:
        """What it says: keys merged into it, then its own, which count where it has both."""
        return {**self._merged, **self._own}

    def add(self, value: Any, event: Any) -> None:
        """Take the next key or value. Raises _Refused."""
        if self._key is None:
            self._key = self._checked(value, event)
            self._merges = self._key == _MERGE and getattr(event, "implicit", (False,))[0]
            self.place = f".{_shown(self._key)}"
            return
        if self._merges:
            self._merge(value)
        else:
            self._own[self._key] = value
        self._key, self.place = None, ""

    def _checked(self, key: Any, event: Any) -> str:
        if isinstance(key, dict | list):
            raise _Refused("a key must be a word, not a list or mapping")
        if not isinstance(key, str):
            written = getattr(event, "value", str(key))
            raise _Refused(f"the key {_shown(written) or '(nothing)'} is no word to YAML; put it in quotes")
        if key in self._lines:
            raise _Refused(f"the key {_shown(key)} stands twice, first in line {self._lines[key]}; a key stands once")
        self._lines[key] = _line(event)
        return key

    def _merge(self, value: Any) -> None:
        for mapping in value if isinstance(value, list) else [value]:
            if not isinstance(mapping, dict):
                raise _Refused("<< merges mappings, such as `<<: *name`; for a key of this name put it in quotes")
            for key, merged in mapping.items():
                self._merged.setdefault(key, merged)  # of several mappings, the first counts


class _Values:
    """The values of a document, built event by event."""

    def __init__(self) -> None:
        self.document: Any = None
        self._documents = 0
        self._open: list[_List | _Mapping] = []
        self._anchored: dict[str, Any] = {}
        self._count = 0

    def take(self, event: Any) -> None:
        """Take the next event. Raises _Refused."""
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
            if event.anchor is not None:
                self._anchored[event.anchor] = value
            self._add(value, event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(event)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._copied(self._named(event.anchor or ""), len(self._open)), event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _Refused("a second document begins; a file holds one")

    def _begin(self, event: Any) -> None:
        if event.tag not in _COLLECTION_TAGS:
            raise _Refused(f"the tag {_shown(event.tag)} is not known; leave it out")
        self._check_depth(len(self._open) + 1)
        kind = _List if isinstance(event, yaml.SequenceStartEvent) else _Mapping
        self._open.append(kind(event.anchor))

    def _end(self, event: Any) -> None:
        ended = self._open.pop()
        value = ended.value
        if ended.anchor is not None:
            self._anchored[ended.anchor] = value
        self._add(value, event)

    def _add(self, value: Any, event: Any) -> None:
        self._count_one()
        if not self._open:
            self.document = value
            return
        try:
            self._open[-1].add(value, event)
        except _Refused as error:
            place = "".join(item.place for item in self._open[:-1]).removeprefix(".")
            raise _Refused(f"{place}: {error}" if place else str(error)) from None

    def _scalar(self, event: Any) -> Any:
        if "\0" in event.value:
            raise _Refused("a NUL character, which no file name and no command can hold")
        if event.implicit[0] and event.tag is None:
            return _resolved(event.value)
        if event.tag not in (None, *_WORD_TAGS):
            raise _Refused(f"the tag {_shown(event.tag)} is not known; leave it out")
        return event.value

    def _named(self, anchor: str) -> Any:
        if anchor not in self._anchored:
            within = any(item.anchor == anchor for item in self._open)
            raise _Refused(f"*{_shown(anchor)} {'stands within itself' if within else 'stands for nothing before it'}")
        return self._anchored[anchor]

    def _copied(self, value: Any, depth: int) -> Any:
        self._count_one()
        if isinstance(value, dict):
            self._check_depth(depth + 1)
            return {key: self._copied(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            self._check_depth(depth + 1)
            return [self._copied(item, depth + 1) for item in value]
        return value

    def _count_one(self) -> None:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise _Refused(f"there are more than {_MOST_VALUES:,} values, with those that aliases stand for")

    @staticmethod
    def _check_depth(depth: int) -> None:
        if depth > _DEEPEST:
            raise _Refused(f"is no YAML of ours: nested more than {_DEEPEST} deep")


def _resolved(text: str) -> Any:
    """Return what a scalar without quotes stands for."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) > _MOST_DIGITS and (_INTEGER.fullmatch(text) or _FLOAT.fullmatch(text)):
        raise _Refused(f"a number of {len(text)} digits; if it is none, put it in quotes")
    if _INTEGER.fullmatch(text):
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _FLOAT.fullmatch(text):
        return float(re.sub(r"\.(?=[iInN])", "", text))  # .inf and .nan are Python's without the dot
    return text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _shown(text: str) -> str:
    """Return a word of a document as an error shows it: in one line, and not at any length."""
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
