"""Documents that a process shows to others: whole, of now, and only as long as it lives."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from testbed.agents.host.shown_documents import ShownDocument, shown

SHOWS = """
import pathlib, sys, time
from testbed.agents.host.shown_documents import ShownDocument
document = ShownDocument(pathlib.Path(sys.argv[1]))
document.show({"of": "another process"})
print(flush=True)
time.sleep(600)
"""


def test_the_last_document_is_seen_until_it_is_shown_no_more(tmp_path: Path) -> None:
    path = tmp_path / "state"
    assert shown(path) is None
    document = ShownDocument(path)
    for number in range(3):
        document.show({"number": number})
        document.show({"number": number})
        assert shown(path) == shown(path) == {"number": number}
    document.close()
    document.close()
    assert shown(path) is None
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_showed_that_was_killed_is_not_seen(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with subprocess.Popen([sys.executable, "-c", SHOWS, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        assert shown(path) == {"of": "another process"}
        process.send_signal(signal.SIGSTOP)
        assert shown(path) == {"of": "another process"}, "one that is halted is still there"
        process.kill()
        process.wait()
        assert shown(path) is None
    assert path.exists()


def test_a_second_life_does_not_show_what_the_first_did(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with subprocess.Popen([sys.executable, "-c", SHOWS, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.kill()
    document = ShownDocument(path)
    assert shown(path) is None
    document.show({"of": "this one"})
    assert shown(path) == {"of": "this one"}
    document.close()


def test_nobody_sees_half_of_a_document_or_none_while_it_is_overwritten(tmp_path: Path) -> None:
    document, is_over = ShownDocument(tmp_path / "state"), threading.Event()
    document.show(["0"] * 2000)
    odd: list[object] = []

    def look() -> None:
        while not is_over.is_set():
            seen = shown(tmp_path / "state")
            if not (isinstance(seen, list) and len(seen) == 2000 and len(set(seen)) == 1):
                odd.append(seen)

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(100):
        document.show([str(number)] * 2000)
    is_over.set()
    looking.join()
    document.close()
    assert odd == []
