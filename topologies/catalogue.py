"""The networks there are, by name: real ones, the drafts' figures, and files of one's own.

The door of the package. A new source is one module and one entry in `_SOURCES`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from topologies import draft_figures, yaml_form
from topologies.importers import topohub_networks
from topologies.spec import Link, Topology, TopologyError

_FILE_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class _Source:
    """Where networks called `source/name` come from; `load` takes a name as `names` gives it."""

    names: Callable[[], list[str]]
    load: Callable[[str], Topology]


_SOURCES = {
    "topozoo": _Source(lambda: topohub_networks.names("topozoo"), topohub_networks.load),
    "sndlib": _Source(lambda: topohub_networks.names("sndlib"), topohub_networks.load),
    "draft": _Source(draft_figures.names, draft_figures.load),
}


def names() -> dict[str, list[str]]:
    """Return the names of all networks, by source."""
    return {key: source.names() for key, source in _SOURCES.items()}


def load(name_or_path: str, rate_mbps: float | None = None) -> Topology:
    """Return a network by catalogue name (in any case), or from a YAML file.

    `rate_mbps` is given to links that state no rate. Raises TopologyError in one line.
    """
    if name_or_path.lower().endswith(_FILE_SUFFIXES):
        topology = load_file(Path(name_or_path))
    else:
        name = _catalogue_name(name_or_path)
        topology = _SOURCES[name.partition("/")[0]].load(name)
    return topology if rate_mbps is None else _with_rate(topology, rate_mbps)


def load_file(path: Path) -> Topology:
    """Return the network in a YAML file."""
    return yaml_form.read(path)


def _catalogue_name(name: str) -> str:
    known = {item.lower(): item for listed in names().values() for item in listed}
    if name.lower() in known:
        return known[name.lower()]
    by_part: dict[str, list[str]] = {}  # users leave the source out, too
    for key, item in known.items():
        for part in (key, key.partition("/")[2]):
            by_part.setdefault(part, []).append(item)
    near = difflib.get_close_matches(name.lower(), by_part, n=1, cutoff=0.8)
    hint = f"did you mean {' or '.join(map(repr, by_part[near[0]]))}? " if near else ""
    raise TopologyError(
        f"there is no topology {name!r}; {hint}`dyncast topology` lists all {len(known)}; a file's name ends in .yaml"
    )


def _with_rate(topology: Topology, rate_mbps: float) -> Topology:
    links = tuple(
        link if link.spec.rate_mbps else Link(link.a, link.b, replace(link.spec, rate_mbps=rate_mbps))
        for link in topology.links
    )
    return replace(topology, links=links)
