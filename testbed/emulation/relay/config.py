"""The relay's configuration file: its keys, checked.

Stdlib only. Written by `relay_link`, or by hand:

    {"name": "relay", "out_dir": "…", "seed": 7, "links": [
      {"label": "a - b", "a": {"netns_pid": 4711, "interface": "eth0", "mac": "02:00:00:00:00:01"},
       "b": {"netns_pid": null, "interface": "dy12ab-p0", "mac": null},
       "delay_ms": 10, "jitter_ms": 0, "loss_percent": 0, "rate_mbps": null, "queue_packets": 1000}]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from testbed.emulation.relay.impairment import Impairment
from testbed.runtime.config import Keys

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


@dataclass(frozen=True)
class RelayEnd:
    """A TAP interface to make in the namespace of a process (None: the relay's own)."""

    netns_pid: int | None
    interface: str
    mac: str | None


@dataclass(frozen=True)
class RelayLink:
    """A link to relay, impaired alike in both directions."""

    label: str
    a: RelayEnd
    b: RelayEnd
    impairment: Impairment


@dataclass(frozen=True)
class RelayConfig:
    """Everything a relay process is told."""

    name: str
    out_dir: Path
    seed: int
    links: tuple[RelayLink, ...]


def ports_path(out_dir: Path, name: str) -> Path:
    """Return the file of the counters that a relay publishes; the slots are a_to_b and b_to_a of each link in turn."""
    return out_dir / f"{name}.ports"


def relay_config(keys: Keys) -> RelayConfig:
    """Check the relay's configuration; raise ConfigError naming the key."""
    return RelayConfig(
        name=keys.file_name("name"),
        out_dir=Path(keys.text("out_dir")),
        seed=keys.integer("seed"),
        links=keys.sections("links", _link),
    )


def _link(keys: Keys) -> RelayLink:
    return RelayLink(
        label=keys.text("label"),
        a=keys.section("a", _end),
        b=keys.section("b", _end),
        impairment=Impairment(
            delay_ms=keys.number("delay_ms", 0),
            jitter_ms=keys.number("jitter_ms", 0),
            loss_percent=keys.number("loss_percent", 0, 100),
            rate_mbps=keys.nullable("rate_mbps", keys.positive),
            queue_packets=keys.integer("queue_packets", 1),
        ),
    )


def _end(keys: Keys) -> RelayEnd:
    interface = keys.text("interface")
    if len(interface.encode()) > 15 or "/" in interface:
        raise keys.mistyped("interface", "at most 15 bytes without '/'")
    mac = keys.nullable("mac", keys.text)
    if mac is not None and not _MAC.fullmatch(mac):
        raise keys.mistyped("mac", "like 02:00:00:00:00:01, or null")
    return RelayEnd(keys.nullable("netns_pid", partial(keys.integer, least=1)), interface, mac)
