"""The priority of a process that must run as soon as it wakes, without starving others.

For processes whose delay would be taken for the network's: relay, generators, instances. Stdlib only.
A real-time class would serve them better still and let Open vSwitch starve under load (packets lost in
front of the bridge); a higher weight with a short slice does not.
"""

from __future__ import annotations

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
_SCHED_OTHER = 0
_NICE = -10
_SLICE_NS = 100_000  # the least that the kernel accepts; from Linux 6.12 on, a short slice means an early turn


class _SchedulingAttributes(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    ]


def raise_priority() -> str:
    """Raise this process's weight and shorten its slice; return what was granted, for the record."""
    if _set_attributes(_NICE, _SLICE_NS):
        return f"nice {_NICE}, slice {_SLICE_NS / 1e6:g} ms"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    except OSError:
        return "as started"
    return f"nice {_NICE}"


def restore_priority() -> None:
    """Undo `raise_priority`, for a child that is no part of the testbed."""
    if not _set_attributes(0, 0):
        os.setpriority(os.PRIO_PROCESS, 0, 0)


def _set_attributes(nice: int, slice_ns: int) -> bool:
    number = _SCHED_SETATTR.get(os.uname().machine)
    attributes = _SchedulingAttributes(
        size=ctypes.sizeof(_SchedulingAttributes), policy=_SCHED_OTHER, nice=nice, runtime_ns=slice_ns
    )
    return number is not None and bool(_LIBC.syscall(number, 0, ctypes.byref(attributes), 0) == 0)
