"""CPU time of trees of processes: of children, and of theirs, whether they have ended or not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from testbed.agents.host.process_trees import TreeUse, cpu_s

# Its child works, and its child's child; the latter has ended when it says so.
_PROGRAM = """
import subprocess, sys, time
def work(cpu_s):
    while time.process_time() < cpu_s:
        pass
if sys.argv[1:]:
    work(0.2)
else:
    subprocess.run([sys.executable, __file__, "inner"], check=True)
    work(0.2)
    print("done", flush=True)
    sys.stdin.read()
"""


def test_the_cpu_time_of_descendants_counts_until_the_next_look(tmp_path: Path) -> None:
    program = tmp_path / "works.py"
    program.write_text(_PROGRAM)
    use = TreeUse()
    argv = ["sh", "-c", f"{sys.executable} {program}; true"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "done\n"
        assert 0.35 <= use.used_s([process.pid]) < 5
        assert use.used_s([process.pid]) < 0.1  # it waits
        process.stdin.close()
        process.wait(20)
    assert cpu_s(process.pid) == 0.0


def test_a_tree_that_was_not_there_before_counts_whole_and_one_that_is_gone_not() -> None:
    use = TreeUse()
    began_s = time.process_time()
    while time.process_time() - began_s < 0.05:  # the work that is counted
        pass
    assert use.used_s([os.getpid()]) >= 0.05
    assert use.used_s([]) == 0.0
