"""The true state of clusters and paths, for the policy `oracle`: what they show out of band, as it is at this moment.

Each cluster shows its state in a file at each change, and whoever runs the network shows what its links do; no packet
carries that. A cluster whose process has ended is left out. Files are named here, for those who write them, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from testbed.agents.cluster_client import alto_lists
from testbed.agents.host.shown_documents import shown
from testbed.faas.placement.views import ClusterView
from testbed.records.file_names import file_name


def state_path(folder: Path, cluster: str) -> Path:
    """Return where a cluster shows its state."""
    return folder / f"{file_name(cluster)}.state"


def paths_path(folder: Path) -> Path:
    """Return where it is shown what the paths are like."""
    return folder / "paths"


class Truth:
    """The truth about clusters by name, as it is shown in a folder. `functions`: their names by digest."""

    def __init__(self, folder: Path, clusters: Iterable[str], functions: Mapping[str, str]) -> None:
        self._paths, self._functions = paths_path(folder), functions
        self._states = {name: state_path(folder, name) for name in clusters}

    def views(self, site: str, now_s: float) -> tuple[ClusterView, ...]:
        """Return the clusters that live, as users at a site have them. Raises ListError if a document is odd."""
        paths = _object(shown(self._paths))
        from_user, from_repository = _object(_object(paths.get("from_user")).get(site)), paths.get("from_repository")
        states = {name: shown(path) for name, path in self._states.items()}
        listed = [
            {
                **_object(state),
                "cluster": name,
                "age_s": 0.0,
                "from_user": from_user.get(name),
                "from_repository": _object(from_repository).get(name),
            }
            for name, state in states.items()
            if state is not None
        ]
        return alto_lists.listed_views({"clusters": listed}, self._states, self._functions, now_s)


def _object(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}
