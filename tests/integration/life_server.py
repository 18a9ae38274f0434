"""A server for the life of a flow: `life_server.py NAME PORT UDP_ADDRESS`; it speaks TCP and UDP at one port.

TCP, a line per connection                    | UDP, a datagram
  who         NAME                            |   who       NAME
  half S      after the client's end and S    |   <octets>  NAME and their SHA-256, in hex
              seconds more, NAME              |   give N    N octets, NAME at their beginning
  upload N    NAME, once N octets have come   |   late S    after S seconds 5 datagrams of a socket connected to
  push S      NAME after S seconds            |             the sender
  call A P    who answers at address A, port P|   outcome P what became of those to port P: errors, as a list
"""

from __future__ import annotations

import errno
import hashlib
import socket
import sys
import threading
import time

NAME, PORT = sys.argv[1], int(sys.argv[2])
_PATIENCE_S = 20
_outcomes: dict[int, list[str]] = {}


def converse(connection: socket.socket) -> None:
    with connection:
        received = connection.makefile("rb")
        words = received.readline().decode().split()
        answer = NAME
        if words[0] == "half":
            received.read()
            time.sleep(float(words[1]))
        elif words[0] == "push":
            time.sleep(float(words[1]))
        elif words[0] == "upload":
            received.read(int(words[1]))
        elif words[0] == "call":
            answer = called(words[1], int(words[2]))
        connection.sendall(answer.encode() + b"\n")


def called(address: str, port: int) -> str:
    try:
        with socket.create_connection((address, port), timeout=_PATIENCE_S) as other:
            other.sendall(b"who\n")
            return other.makefile().readline().strip()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "TIMEOUT")


def late(own: tuple[str, int], peer: tuple[str, int], delay_s: float) -> None:
    errors: list[str] = []
    with socket.socket(socket.AF_INET6 if ":" in own[0] else socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.bind(own)
        out.connect(peer)
        time.sleep(delay_s)
        for _ in range(5):
            try:
                out.send(NAME.encode())
            except OSError as error:
                errors.append(errno.errorcode[error.errno or 0])
            time.sleep(0.1)
    _outcomes[peer[1]] = [*errors, "done"]


def take_datagrams(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    ours = socket.socket(family, socket.SOCK_DGRAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ours.bind((address, PORT))
    while True:
        data, peer = ours.recvfrom(65535)
        words = data[:40].split()
        if words[:1] == [b"who"]:
            ours.sendto(NAME.encode(), peer)
        elif words[:1] == [b"give"]:
            ours.sendto(f"{NAME} ".encode().ljust(int(words[1]), b"."), peer)
        elif words[:1] == [b"late"]:
            threading.Thread(target=late, args=((address, PORT), peer[:2], float(words[1])), daemon=True).start()
        elif words[:1] == [b"outcome"]:
            ours.sendto(" ".join(_outcomes.get(int(words[1]), [])).encode() or b"-", peer)
        else:
            ours.sendto(f"{NAME} {hashlib.sha256(data).hexdigest()}".encode(), peer)


if __name__ == "__main__":
    threading.Thread(target=take_datagrams, args=(sys.argv[3],), daemon=True).start()
    listener = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=converse, args=(accepted,), daemon=True).start()
