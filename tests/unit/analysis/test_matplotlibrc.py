"""matplotlib reads no `matplotlibrc` of the folder one stands in, whichever module of the analysis comes first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_IMPORT_EACH = """
import importlib, os, sys
import pandas, scipy.stats  # for all: they read no such file, and take long
sys.path.insert(0, sys.argv[1])
here = os.getcwd()

def look(event, arguments):
    if event == "open" and os.path.abspath(str(arguments[0])) == os.path.join(here, "matplotlibrc"):
        os.write(1, f"{module} reads it\\n".encode())

sys.addaudithook(look)
for module in sys.argv[2:]:
    pid = os.fork()
    if not pid:
        importlib.import_module(module)
        assert "matplotlib" in sys.modules and os.getcwd() == here
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, module
print("all imported")
"""


def test_no_module_has_it_read(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("axes.titlesize: enormous\n")
    modules = [
        ".".join(path.relative_to(_ROOT).with_suffix("").parts)
        for path in sorted((_ROOT / "testbed").rglob("*.py"))
        if "\nimport matplotlib" in (text := path.read_text(encoding="utf-8")) or "\nfrom matplotlib" in text
    ]
    assert len(modules) > 10
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_EACH, str(_ROOT), *modules],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("all imported\n", "")
