"""A session of our own at a switch: whole answers, whatever comes between; failures in one line; opened again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import pack, unpack

import pytest

from ryu_apps.openflow.flow_counts import FlowCounts
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.management_session import ManagementSession, SessionError, VersionRefused

Session = Callable[[socket.socket], None]
_HEADER = 8


def message(kind: int, body: bytes = b"", version: int = ofp.OFP_VERSION) -> bytes:
    return pack("!BBHI", version, kind, _HEADER + len(body), 7) + body


def receive(session: socket.socket) -> tuple[int, bytes]:
    _, kind, length, _ = unpack("!BBHI", session.recv(_HEADER, socket.MSG_WAITALL))
    return kind, session.recv(length - _HEADER, socket.MSG_WAITALL) if length > _HEADER else b""


def greet(session: socket.socket) -> None:
    assert receive(session)[0] == ofp.OFPT_HELLO
    session.sendall(message(ofp.OFPT_HELLO, version=6))  # the switch says the most that it speaks


@contextmanager
def switch(folder: Path, *sessions: Session) -> Iterator[Path]:
    """Serve one session after the other, each in its own way."""
    path = folder / "bridge.mgmt"
    failures: list[BaseException] = []

    def serve(listener: socket.socket) -> None:
        try:
            for act in sessions:
                session, _ = listener.accept()
                with session:
                    session.settimeout(10)
                    act(session)
        except BaseException as error:
            failures.append(error)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.settimeout(10)
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield path
        finally:
            thread.join(20)
    assert failures == []


def answers(session: socket.socket) -> None:
    greet(session)
    assert receive(session) == (ofp.OFPT_MULTIPART_REQUEST, b"ask")
    session.sendall(message(ofp.OFPT_ECHO_REQUEST, b"are you there"))
    error = message(ofp.OFPT_ERROR, b"no")
    session.sendall(message(ofp.OFPT_MULTIPART_REPLY, b"one") + error[:5])
    assert receive(session)[0] == ofp.OFPT_BARRIER_REQUEST
    assert receive(session) == (ofp.OFPT_ECHO_REPLY, b"are you there")
    session.sendall(error[5:] + message(ofp.OFPT_BARRIER_REPLY))


def test_answers_are_read_whole_and_echo_requests_answered(tmp_path: Path) -> None:
    with switch(tmp_path, answers) as path:
        session = ManagementSession(path, ofp.OFP_VERSION)
        got = session.ask(message(ofp.OFPT_MULTIPART_REQUEST, b"ask"))
        assert got == [(ofp.OFPT_MULTIPART_REPLY, b"one"), (ofp.OFPT_ERROR, b"no")]
        session.close()


def test_a_session_that_broke_is_one_line_and_opened_again(tmp_path: Path) -> None:
    def breaks(session: socket.socket) -> None:
        greet(session)
        session.sendall(message(ofp.OFPT_MULTIPART_REPLY, b"half")[:-2])

    with switch(tmp_path, breaks, answers) as path:
        session = ManagementSession(path, ofp.OFP_VERSION)
        with pytest.raises(SessionError, match=r"bridge.mgmt: .") as caught:
            session.ask(b"")
        assert "\n" not in str(caught.value)
        assert len(session.ask(message(ofp.OFPT_MULTIPART_REQUEST, b"ask"))) == 2
        session.close()


def test_a_switch_of_another_version_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    def refuses(session: socket.socket) -> None:
        assert receive(session)[0] == ofp.OFPT_HELLO
        session.sendall(message(ofp.OFPT_ERROR, bytes(4)))

    with switch(tmp_path, refuses) as path, pytest.raises(VersionRefused, match="version 4"):
        ManagementSession(path, ofp.OFP_VERSION).ask(b"")
    with pytest.raises(SessionError, match="Connection refused") as caught:
        ManagementSession(tmp_path / "bridge.mgmt", ofp.OFP_VERSION).ask(b"")
    assert not isinstance(caught.value, VersionRefused)


def test_counts_are_read_from_entries_of_any_length_over_several_replies(tmp_path: Path) -> None:
    def entry(cookie: int, packets: int, rest: bytes) -> bytes:
        fixed = pack("!BxIIHHHH4x", 4, 1, 2, 100, 0, 0, 0)
        return pack("!H", 48 + len(rest)) + fixed + pack("!QQQ", cookie, packets, 60 * packets) + rest

    def counts(session: socket.socket) -> None:
        greet(session)
        asked = [receive(session) for _ in range(2)]
        assert [body[24:32] for _, body in asked] == [pack("!Q", 3), pack("!Q", 5)]
        more, last = (pack("!HH4x", ofp.OFPMP_FLOW, flags) for flags in (ofp.OFPMPF_REPLY_MORE, 0))
        bodies = (more + entry(3, 10, bytes(8)) + entry(4, 2**40, bytes(96)), last + entry(2**64 - 1, 0, b""), last)
        replies = (message(ofp.OFPT_MULTIPART_REPLY, body) for body in bodies)
        session.sendall(b"".join(replies) + message(ofp.OFPT_BARRIER_REPLY))
        assert receive(session)[0] == ofp.OFPT_BARRIER_REQUEST

    with switch(tmp_path, counts) as path:
        flow_counts = FlowCounts(path)
        assert flow_counts.read((3, 5), 2**64 - 1) == [(3, 10), (4, 2**40), (2**64 - 1, 0)]
        flow_counts.close()
