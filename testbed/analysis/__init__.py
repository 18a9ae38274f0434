"""From the files of a run to figures, tables and pictures. Reads files only, never live objects.

`run_data` reads and checks · `flows`, `theory` compute · `measures` sums up and prints · `plots` and `html_report`
draw · `study` compares many runs · a folder per system adds what is its own (`system` says how). pandas, scipy and
matplotlib are imported nowhere else, and not by importing this package alone.

For Python users: `load` and `summarise` a run, `load_study` and `compare` many (docs/python.md).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.analysis.measures.summary import summarise as summarise
    from testbed.analysis.run_data.loading import load as load
    from testbed.analysis.study.study_figures import compare as compare
    from testbed.analysis.study.study_figures import load_study as load_study

_OWNERS = {
    "compare": "study.study_figures",
    "load": "run_data.loading",
    "load_study": "study.study_figures",
    "summarise": "measures.summary",
}


def __getattr__(name: str) -> Any:
    if name not in _OWNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_OWNERS[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_OWNERS]
