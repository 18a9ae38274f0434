"""The switch daemon is asked by its socket, whoever sees its process."""

from __future__ import annotations

from pathlib import Path

from testbed.linux import ovs_control


def test_the_socket_is_that_of_the_process_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "ovs-vswitchd.pid").write_text("4294967\n")
    assert ovs_control.appctl(5, "version", folder=tmp_path) == [
        "ovs-appctl", "--timeout=5", "-t", f"{tmp_path}/ovs-vswitchd.4294967.ctl", "version",
    ]  # fmt: skip


def test_without_a_file_its_name_will_do(tmp_path: Path) -> None:
    assert ovs_control.target(tmp_path) == "ovs-vswitchd"
    (tmp_path / "ovs-vswitchd.pid").write_text("")
    assert ovs_control.target(tmp_path) == "ovs-vswitchd"
