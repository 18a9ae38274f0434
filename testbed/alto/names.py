"""Names of ALTO and their syntax: PIDs, resources, tags, address types, properties (RFC 7285, section 10).

Functions answer yes or no; whoever asks knows which error follows.
"""

from __future__ import annotations

import re
from typing import TypeAlias

PIDName: TypeAlias = str
ResourceID: TypeAlias = str
AddressType: TypeAlias = str
PropertyName: TypeAlias = str

PRIVATE = "priv:"

_NAME = re.compile(r"[0-9A-Za-z:@_-]{1,64}")
_EXTENDED_NAME = re.compile(r"[0-9A-Za-z:@_.-]{1,64}")
_TAG = re.compile(r"[!-~]{1,64}")
_ADDRESS_TYPE = re.compile(r"[0-9A-Za-z]+")
_PROPERTY = re.compile(r"[0-9A-Za-z:_-]{1,32}")
_COST_METRIC = re.compile(r"[0-9A-Za-z:_.-]{1,32}")


def is_pid_name(text: str) -> bool:
    """Return whether a server may call a PID so; the dot is reserved (10.1)."""
    return _NAME.fullmatch(text) is not None


def is_received_pid_name(text: str) -> bool:
    """Return whether a PID of another server may be called so: an extension may have used the dot."""
    return _EXTENDED_NAME.fullmatch(text) is not None


def is_resource_id(text: str) -> bool:
    """Return whether a resource may be called so: as a PID (10.2)."""
    return is_pid_name(text)


def is_tag(text: str) -> bool:
    """Return whether a version may be marked so (10.3)."""
    return _TAG.fullmatch(text) is not None


def is_address_type(text: str) -> bool:
    """Return whether a type of address may be called so (10.4.2)."""
    return _ADDRESS_TYPE.fullmatch(text) is not None


def is_cost_metric(text: str) -> bool:
    """Return whether a cost metric may be called so (10.6); the dot is for percentiles (RFC 9439, section 3.2)."""
    return _COST_METRIC.fullmatch(text) is not None and text != PRIVATE


def is_global_property(text: str) -> bool:
    """Return whether a property that depends on no resource may be called so (10.8.2)."""
    return _PROPERTY.fullmatch(text) is not None and text != PRIVATE


def is_property(text: str) -> bool:
    """Return whether an endpoint property may be called so, be it global or that of a resource (10.8)."""
    resource, dot, name = text.rpartition(".")
    return is_global_property(name) and (not dot or is_resource_id(resource))


def is_private(text: str) -> bool:
    """Return whether a metric or property needs no registration: `priv:` and a name."""
    return text.startswith(PRIVATE) and text != PRIVATE


def resource_of(name: PropertyName) -> ResourceID | None:
    """Return the resource that a property depends on: `my-map` of `my-map.pid`, and none of a global one."""
    resource, dot, _ = name.rpartition(".")
    return resource if dot else None
