"""Configure network interfaces by ioctl, without starting a process for each.

Owns MAC address, MTU, transmit queue, offloads and the up flag of an interface in the namespace of a given
socket. Stdlib only, for the relay imports it. Knows nothing of links.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct

from testbed.errors import TestbedError

MTU_BYTES = 1500

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFMTU = 0x8922
_SIOCSIFHWADDR = 0x8924
_SIOCSIFTXQLEN = 0x8943
_SIOCETHTOOL = 0x8946
_IFF_UP = 0x1
_ARPHRD_ETHER = 1
_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x1002

# ETHTOOL_S…: each turns one group of features on or off. Checksums first: segmentation depends on them.
_OFFLOADS = {"rx": 0x15, "tx": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C, "sg": 0x19}


class InterfaceError(TestbedError, OSError):
    """An interface cannot be made or configured; one line that names it."""


def configure(control: socket.socket, name: str, *, mac: str | None = None, transmit_queue: int | None = None) -> None:
    """Give interface `name` its MAC address, MTU and transmit queue (packets), and bring it up."""
    if mac is not None:
        address = bytes.fromhex(mac.replace(":", ""))
        _ioctl(control, _SIOCSIFHWADDR, name, struct.pack("=H14s8x", _ARPHRD_ETHER, address), f"MAC address {mac}")
    if transmit_queue is not None:
        _ioctl(control, _SIOCSIFTXQLEN, name, struct.pack("=i20x", transmit_queue), f"queue of {transmit_queue}")
    _ioctl(control, _SIOCSIFMTU, name, struct.pack("=i20x", MTU_BYTES), f"MTU {MTU_BYTES}")
    (flags,) = struct.unpack_from("=H", _ioctl(control, _SIOCGIFFLAGS, name, bytes(24), "flags"), 16)
    _ioctl(control, _SIOCSIFFLAGS, name, struct.pack("=H22x", flags | _IFF_UP), "up")


def switch_offloads_off(control: socket.socket, name: str) -> None:
    """Make the kernel send and receive real, checksummed packets of MTU size on interface `name`.

    With offloads on, frames without checksum and beyond the MTU reach userspace switches, which drop them: ping
    works and TCP hangs.
    """
    for feature, command in _OFFLOADS.items():
        value = struct.pack("=II", command, 0)
        buffer = ctypes.create_string_buffer(value, len(value))
        try:
            _ioctl(control, _SIOCETHTOOL, name, struct.pack("P16x", ctypes.addressof(buffer)), f"{feature} off")
        except InterfaceError as error:
            if error.errno != errno.EOPNOTSUPP:  # what the interface cannot do at all is off
                raise


def open_tap(name: str) -> int:
    """Make TAP interface `name` in this thread's namespace; return its descriptor, which carries Ethernet frames."""
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InterfaceError(
            error.errno, f"/dev/net/tun: {error.strerror}; modprobe tun, or give the container this device"
        ) from error
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("=16sH22x", name.encode(), _IFF_TAP_NO_PI))
    except OSError as error:
        os.close(descriptor)
        raise InterfaceError(error.errno, f"cannot make TAP interface {name!r}: {error.strerror}") from error
    return descriptor


def _ioctl(control: socket.socket, request: int, name: str, payload: bytes, what: str) -> bytes:
    try:
        return fcntl.ioctl(control, request, struct.pack("=16s", name.encode()) + payload)
    except OSError as error:
        raise InterfaceError(error.errno, f"interface {name!r}: cannot set {what}: {error.strerror}") from error
