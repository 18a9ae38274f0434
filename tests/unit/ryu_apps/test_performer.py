"""What a control process does about each action and event of its node, and in which order."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from ryu_apps.dyncast.ingress import DyncastIngress
from ryu_apps.dyncast.performer import Performer
from ryu_apps.openflow.framework import cfg
from ryu_apps.openflow.packet_in import PacketIn
from testbed.dyncast.actions import DropPacket, InterceptService, Output, RefusePacket, ReleaseService, SendMessage
from tests.dyncast_samples import D_SID, D_SID6, NEAR

_SERVICE = {
    "name": "render", "d_sids": [str(D_SID)], "policy": "closest",
    "flow_fields": ["src", "dst", "proto", "src_port", "dst_port"], "affinity_timeout_s": 30,
}  # fmt: skip
_FRAME = bytes.fromhex("020000000001020000000002 0800 4500001c00000000 40110000 0a090909 cb00710a 9c40005000080000")


@pytest.fixture
def control(tmp_path: Path) -> Iterator[DyncastIngress]:
    """A control process as it is before its loops begin."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as in_band:
        config = tmp_path / "control.json"
        config.write_text(json.dumps({
            "name": "control@east", "site": "east", "seed": 1, "out_dir": str(tmp_path), "datapath_id": 1,
            "openflow_fd": 9, "uplink_port": 1, "in_band_fd": in_band.detach(), "in_band_port": 7000,
            "services": [_SERVICE],
        }))  # fmt: skip
        cfg.CONF(["--dyncast-config", str(config)], project="test")
        process = DyncastIngress()
    yield process
    process.close()


def test_a_control_process_performs_every_action_and_every_event(control: DyncastIngress) -> None:
    assert control.performer.kinds == set(get_args(Output))


def test_an_error_in_one_message_is_counted_said_once_and_ends_nothing(
    control: DyncastIngress, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("seeded")

    monkeypatch.setattr(control.d_router, "on_message", fail)
    monkeypatch.setattr(control.d_router, "on_packet", fail)
    for _ in range(3):
        control._take(b"x", "10.9.9.9")
    control.on_packet_in(SimpleNamespace(msg=SimpleNamespace(datapath=None, data=_FRAME, match={"in_port": 3})))
    assert control.d_router.counters == {"unhandled_in_band": 3, "unhandled_packet_in": 1}
    assert [record.message.split(":")[0] for record in caplog.records] == ["in_band", "packet_in"]


def test_addresses_that_anybody_made_up_do_not_fill_the_counts(control: DyncastIngress) -> None:
    for number in range(1000):
        control._take(b"x", f"10.9.{number // 250}.{number % 250}")
    received = [row for row in control.journal.counts() if row["direction"] == "received"]
    assert len(received) == 101
    assert sum(int(str(row["messages"])) for row in received) == 1000


def _performer(log: list[Any], follows: list[Output]) -> Performer:
    def send(message: SendMessage) -> list[Output]:
        log.append(message.kind)
        return follows

    def fail(_: DropPacket) -> None:
        raise OSError

    return Performer(
        {
            InterceptService: lambda action, _: f"+{action.d_sid} ".encode(),
            ReleaseService: lambda action, _: f"-{action.d_sid} ".encode(),
            RefusePacket: lambda _, packet: packet.data,
        },
        {SendMessage: send, DropPacket: fail},
        log.append,
    )


def test_the_switch_gets_all_its_messages_in_order_and_in_one_write() -> None:
    log: list[Any] = []
    outputs = [InterceptService(D_SID), SendMessage(NEAR, b"", "probe"), RefusePacket("no_instance")]
    _performer(log, []).perform(outputs, PacketIn(3, b"packet"))
    assert log == ["probe", f"+{D_SID} packet".encode()]


def test_what_follows_from_an_action_is_performed_behind_the_rest() -> None:
    log: list[Any] = []
    outputs = [SendMessage(NEAR, b"", "probe"), InterceptService(D_SID)]
    _performer(log, [ReleaseService(D_SID6)]).perform(outputs)
    assert log == ["probe", f"+{D_SID} -{D_SID6} ".encode()]


def test_nothing_to_tell_the_switch_is_no_write() -> None:
    log: list[Any] = []
    _performer(log, []).perform([SendMessage(NEAR, b"", "probe")])
    assert log == ["probe"]


def test_an_action_that_fails_keeps_nothing_from_the_switch_that_came_before() -> None:
    log: list[Any] = []
    with pytest.raises(OSError):
        _performer(log, []).perform([InterceptService(D_SID), DropPacket("no_ports")])
    assert log == [f"+{D_SID} ".encode()]
