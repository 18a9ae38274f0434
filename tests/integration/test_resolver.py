"""Commands have a resolv.conf of their own, in whatever form the machine has one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.own_mounts import run_python, with_writable_etc

pytestmark = pytest.mark.root

_PROGRAM = """
import subprocess, sys
from pathlib import Path
from testbed.emulation.netns import resolver
before = Path("/etc/resolv.conf").is_symlink(), Path("/etc/resolv.conf").exists()
folder = resolver.write(Path(sys.argv[1]), "nameserver 192.0.2.53\\n")
look = [*resolver.with_resolver(folder), "sh", "-c", "pwd; cat /etc/resolv.conf; head -n 1 /etc/passwd"]
print(subprocess.run(look, cwd="/usr", capture_output=True, text=True, check=True).stdout, end="")
assert (Path("/etc/resolv.conf").is_symlink(), Path("/etc/resolv.conf").exists()) == before
"""
_FORMS = {
    "file": "rm -f /etc/resolv.conf && echo nameserver 192.0.2.1 >/etc/resolv.conf",
    "link": "rm -f /etc/resolv.conf && ln -s hosts /etc/resolv.conf",
    "dangling link": "rm -f /etc/resolv.conf && ln -s ../run/none-such/resolv.conf /etc/resolv.conf",
    "none": "rm -f /etc/resolv.conf",
}


@pytest.mark.parametrize("form", _FORMS.values(), ids=_FORMS)
@pytest.mark.parametrize("name", ["resolver", "a, b:c [d] 'e\\"])
def test_commands_see_their_own_and_the_machine_keeps_its(form: str, name: str, tmp_path: Path) -> None:
    shown = run_python(_PROGRAM, with_writable_etc(form), str(tmp_path / name))
    assert shown.splitlines()[:2] == ["/usr", "nameserver 192.0.2.53"]
    assert shown.splitlines()[2].startswith("root:")


def test_what_cannot_be_is_said_in_one_line_before_anything_is_built(tmp_path: Path) -> None:
    """Where mounts are forbidden, as in a container without the right."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom testbed.emulation.netns import resolver\n"
        "try:\n    resolver.write(Path(sys.argv[1]), 'nameserver 192.0.2.53\\n')\n"
        "except resolver.ResolverError as error:\n    print(error)\n"
    )
    shown = run_python(program, 'set -- setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@"', str(tmp_path))
    assert "commands cannot have a resolv.conf of their own" in shown
    assert "make /etc/resolv.conf a file" in shown
    assert shown.count(os.linesep) == 1
