"""Function delivery's demonstration: cameras near a small cluster, under `nearest` and under `alto`.

What is delivered is real and on every machine that has the testbed: a function, and the environment's own Pillow as its
layers. Frames are those of docs/examples/cameras.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.experiment.demonstration import Demonstration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from testbed.analysis.run_data.loading import RunData

_FOLDER = Path(__file__).parent
_CHECKOUT = Path(__file__).resolve().parents[5]
_LAYERS = ("PIL", "pillow.libs")  # folders beside one another, as they are in an environment


def _settings() -> Mapping[str, object]:
    """Return where code, layers and frames are, so that the scenario runs from wherever it is copied to."""
    spec = find_spec(_LAYERS[0])
    assert spec is not None and spec.origin is not None  # matplotlib needs it
    packages = Path(spec.origin).resolve().parents[1]
    return {
        "functions.denoise.code": str(_FOLDER / "denoise.py"),
        "functions.denoise.layers": {name: str(packages / name) for name in _LAYERS if (packages / name).is_dir()},
        "workloads.0.payload.folder": str(_CHECKOUT / "docs" / "examples" / "cameras" / "frames"),
        "workloads.1.payload.folder": str(_CHECKOUT / "docs" / "examples" / "cameras" / "frames"),
    }


def _tables(runs: Sequence[RunData]) -> Iterator[RenderableType]:
    from testbed.analysis.alto import side_by_side
    from testbed.analysis.measures import terminal_tables

    yield terminal_tables.comparison_table(runs)
    for table in side_by_side.tables(runs):
        yield terminal_tables.drawn(table)


def _picture(runs: Sequence[RunData], path: Path) -> Path:
    from testbed.analysis.alto import side_by_side_picture

    return side_by_side_picture.draw(runs, path)


DEMO = Demonstration(
    about="functions of cameras, delivered to what is near or where ALTO says",
    title="cameras near a small cluster",
    scenario=_FOLDER / "scenario.yaml",
    cases={policy: {"delivery.policy": policy} for policy in ("nearest", "alto")},
    duration_s=40.0,
    tables=_tables,
    picture=_picture,
    settings=_settings,
)
