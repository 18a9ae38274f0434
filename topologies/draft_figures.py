"""The example networks of the architecture drafts, drawn as YAML files in `data`.

`draft/cfn-figure-2` is figure 2 of draft-li-rtgwg-cfn-dyncast-architecture, `draft/dyncast-figure-2` that of
draft-li-rtgwg-dyncast-architecture; `draft/cats-two-clouds` is from RFC 10054 (use cases of CATS).
"""

from __future__ import annotations

import importlib.resources

from topologies import yaml_form
from topologies.spec import Topology

_FOLDER = importlib.resources.files("topologies") / "data"


def names() -> list[str]:
    """Return the figures, as `draft/name`."""
    return sorted(
        f"draft/{item.name.removesuffix('.yaml')}" for item in _FOLDER.iterdir() if item.name.endswith(".yaml")
    )


def load(name: str) -> Topology:
    """Return a figure by a name of `names`."""
    file = _FOLDER / f"{name.partition('/')[2]}.yaml"
    return yaml_form.parse(file.read_text(encoding="utf-8"), name)
