"""The networks there are, by name: real ones, the drafts' figures, and files of one's own.

The door of the package. A new source is one entry in `_SOURCES`.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from topologies import yaml_form
from topologies.importers import topohub_networks
from topologies.spec import Link, Topology, TopologyError, unknown_name


def names() -> dict[str, list[str]]:
    """Return the names of all networks, by source."""
    return {source: listed() for source, (listed, _) in _SOURCES.items()}


def load(name_or_path: str, rate_mbps: float | None = None) -> Topology:
    """Return a network by catalogue name, or from a YAML file.

    `rate_mbps` is given to links that state no rate. Raises TopologyError in one line.
    """
    source = name_or_path.partition("/")[0].lower()
    if name_or_path.endswith((".yaml", ".yml")):
        topology = load_file(Path(name_or_path))
    elif source in _SOURCES:
        topology = _SOURCES[source][1](name_or_path)
    else:
        everything = [name for listed in names().values() for name in listed]
        raise unknown_name("there is no topology", name_or_path, everything)
    return topology if rate_mbps is None else _with_rate(topology, rate_mbps)


def load_file(path: Path) -> Topology:
    """Return the network in a YAML file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TopologyError(f"{path}: {getattr(error, 'strerror', None) or error}; is the path right?") from error
    return yaml_form.parse(text, str(path))


def _with_rate(topology: Topology, rate_mbps: float) -> Topology:
    links = tuple(
        link if link.spec.rate_mbps else Link(link.a, link.b, replace(link.spec, rate_mbps=rate_mbps))
        for link in topology.links
    )
    return replace(topology, links=links)


def _drafts() -> list[str]:
    folder = importlib.resources.files("topologies") / "data"
    return sorted(
        f"draft/{item.name.removesuffix('.yaml')}" for item in folder.iterdir() if item.name.endswith(".yaml")
    )


def _load_draft(name: str) -> Topology:
    known = {item.lower(): item for item in _drafts()}
    if name.lower() not in known:
        raise unknown_name("there is no topology", name, known.values())
    file = known[name.lower()].partition("/")[2] + ".yaml"
    text = (importlib.resources.files("topologies") / "data" / file).read_text(encoding="utf-8")
    return yaml_form.parse(text, name)


_SOURCES: dict[str, tuple[Callable[[], list[str]], Callable[[str], Topology]]] = {
    "topozoo": (lambda: topohub_networks.names("topozoo"), topohub_networks.load),
    "sndlib": (lambda: topohub_networks.names("sndlib"), topohub_networks.load),
    "draft": (_drafts, _load_draft),
}
