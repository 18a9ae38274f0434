"""What is on the machine, to compare before and after: namespaces, links, bridges, processes of runs, settings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
# Kernel settings that Mininet by itself, or forwarding between namespaces, might be tempted to change.
_SETTINGS = ("fs.file-max", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.ipv4.ip_forward", "kernel.pty.max",
             "net.core.rmem_default")  # fmt: skip


def dyncast(*arguments: str, timeout_s: float = 150) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "testbed.cli", *arguments],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


def dyncast_without_root(rehearsal: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as nobody, after a rehearsal as root: then all is imported that only root may read."""
    code = (
        f"import os; from testbed.cli import app as cli; cli.app({[*rehearsal]!r}, standalone_mode=False); "
        "os.setresgid(*[65534] * 3); os.setresuid(*[65534] * 3); cli.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Have a disk of a megabyte at `folder`, which is made, while the block runs."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def start_dyncast(*arguments: str) -> subprocess.Popen[str]:
    """Start the command line and return at once."""
    return subprocess.Popen(
        [sys.executable, "-m", "testbed.cli", *arguments],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def state() -> dict[str, list[str]]:
    """Return what runs could leave behind."""
    register = Path("/run/dyncast")
    return {
        "namespaces": _lines("ip", "netns"),
        "links": sorted(line.split(":")[1].strip() for line in _lines("ip", "-o", "link")),
        "bridges": sorted(_lines("ovs-vsctl", "list-br")),
        "conntrack zones": _lines("ovs-vsctl", "--bare", "--columns=external_ids", "list", "CT_Zone"),
        "queues of ports": _lines("ovs-vsctl", "--bare", "--columns=external_ids", "list", "QoS"),
        "register": sorted(path.name for path in register.glob("*.json")) if register.exists() else [],
        "processes": sorted(_tagged_processes()),
        "settings": _lines("sysctl", "-e", *_SETTINGS),
    }


@contextmanager
def unchanged() -> Iterator[None]:
    """Fail if the block leaves anything behind, or takes anything away."""
    before = state()
    yield
    after = state()
    for what, things in before.items():
        if things != after[what]:
            pytest.fail(f"{what} changed: before {things}, after {after[what]}")


def process_of(config: Path) -> int:
    """Return the process that runs with a configuration; its command line may be padded."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(config).encode() in path.read_bytes().split(b"\0"):
                return int(path.parent.name)
        except OSError:
            continue
    raise AssertionError(f"nothing runs with {config}")


def _lines(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.splitlines()


def _tagged_processes() -> Iterator[str]:
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if b"\0DYNCAST_RUN=" in b"\0" + environ.read_bytes():
                yield (environ.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
