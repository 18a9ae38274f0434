"""docs/licences.md: the licence of each locked package, by its own metadata, and what it is for.

`python -m tests.licences` writes the tables into the page; a test says when they are out of date. Of a package that is
not installed here (it is for another Python) the row stays as it is.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from testbed.cli.machine.checkout import ROOT
from tests.locks import RUN, TEST, read

PAGE = ROOT / "docs" / "licences.md"
_BEGIN, _END = "<!-- packages of: {} -->\n", "<!-- end of packages -->\n"
_HEAD = "| package | licence | for |\n|---|---|---|\n"
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# What the testbed itself uses a package for; others are what these need.
_USED_FOR = {
    "aiohttp": "HTTP of the ALTO server and of clusters",
    "cryptography": "certificates of a run",
    "dnspython": "messages of the name server",
    "eventlet": "green threads of the OpenFlow framework",
    "jinja2": "pages of reports",
    "matplotlib": "pictures",
    "mininet": "namespaces and links",
    "networkx": "routes of a topology",
    "numpy": "figures and random numbers",
    "os-ken": "OpenFlow",
    "pandas": "tables of a run",
    "pydantic": "keys of a scenario",
    "pyyaml": "documents",
    "rich": "tables of the terminal",
    "scapy": "packets of RTP streams",
    "scipy": "distributions, confidence intervals",
    "setuptools": "distutils, which Mininet imports",
    "six": "python-dateutil (Python 3.10)",
    "topohub": "the catalogue of networks",
    "typer": "the command line",
    "hypothesis": "property tests",
    "import-linter": "import contracts",
    "ipykernel": "the example notebook",
    "jsonschema": "schemas that editors read",
    "mypy": "types",
    "nbclient": "the example notebook",
    "playwright": "pages in a browser",
    "pytest": "all tests",
    "pytest-timeout": "limits of tests",
    "pytest-xdist": "tests side by side",
    "ruff": "style",
    "types-pyyaml": "types",
}


def rows(lock: Path) -> dict[str, str]:
    """Return the rows of a lock's packages, by name."""
    brings = _brought_by()
    present = dict(re.findall(r"^(?=\| (\S+) \|)(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    installed = {item.name for item in read(lock) if item.is_for_this_python}
    found = {}
    for name in sorted({item.name for item in read(lock)}):
        if name in installed:
            used_for = _USED_FOR.get(name) or ", ".join(sorted(brings.get(name, ())))
            found[name] = f"| {name} | {licence(name)} | {used_for} |"
        else:
            found[name] = present.get(name, f"| {name} | ? | another Python |")
    return found


def licence(name: str) -> str:
    """Return the licence of an installed package: its expression, its classifier or its own short word."""
    of = metadata.metadata(name)
    if of.get("License-Expression"):
        return str(of["License-Expression"])
    classified = [words.split(" :: ")[-1] for words in of.get_all("Classifier") or () if words.startswith("License ::")]
    known = [_CLASSIFIERS[words] for words in classified if words in _CLASSIFIERS]
    own = (of.get("License") or "").strip()
    if not known and "\n" not in own and own and own != "UNKNOWN":
        return own
    return known[0] if known else "BSD" if "BSD License" in classified else "?"


def page() -> str:
    """Return the page as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    for lock in (RUN, TEST):
        table = _HEAD + "".join(f"{row}\n" for row in rows(lock).values())
        begin = _BEGIN.format(lock.name)
        before, _, rest = text.partition(begin)
        text = before + begin + table + _END + rest.partition(_END)[2]
    return text


def _brought_by() -> dict[str, set[str]]:
    brought: dict[str, set[str]] = {}
    for item in (*read(RUN), *read(TEST)):
        for needed in map(Requirement, metadata.requires(item.name) or () if item.is_for_this_python else ()):
            if needed.marker is None or "extra" not in str(needed.marker):
                brought.setdefault(canonicalize_name(needed.name), set()).add(item.name)
    return brought


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
