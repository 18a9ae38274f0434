"""What one D-Router's control process is told: the JSON file on its command line, checked.

Owns the file's form. Knows no OpenFlow. Example:

    {"name": "control@chicago", "site": "chicago", "seed": 1, "out_dir": "…",
     "datapath_id": 3, "openflow_port": 6701, "uplink_port": 1, "in_band_fd": 5,
     "in_band_port": 7000, "metric_lifetime_s": 10, "probe_interval_s": 1,
     "services": [{"name": "render", "d_sids": ["203.0.113.10"], "policy": "dyncast",
                   "flow_fields": ["src", "dst", "proto", "src_port", "dst_port"], "affinity_timeout_s": 30}],
     "peers": [{"site": "denver", "address": "10.4.0.1", "path_cost_ms": 12.5}],
     "policy_parameters": {"dyncast": {"refusal_penalty_ms": 5000}}}

`in_band_fd` is a bound UDP socket that the starter opened inside the D-Router's namespace.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from testbed.dyncast.d_router import DRouterConfig, Peer
from testbed.dyncast.flows import Service


class ConfigError(ValueError):
    """A configuration that cannot serve; says which file and key."""


@dataclass(frozen=True)
class ControlConfig:
    """The checked configuration of one control process."""

    name: str
    site: str
    seed: int
    out_dir: Path
    datapath_id: int
    openflow_port: int
    uplink_port: int
    in_band_fd: int
    in_band_port: int
    d_router: DRouterConfig


_REQUIRED = {
    "name": str,
    "site": str,
    "seed": int,
    "out_dir": str,
    "datapath_id": int,
    "openflow_port": int,
    "uplink_port": int,
    "in_band_fd": int,
    "in_band_port": int,
    "services": list,
}
_OPTIONAL = {
    "peers": list,
    "policy_parameters": dict,
    "metric_lifetime_s": (int, float),
    "probe_interval_s": (int, float),
}


def load(path: Path) -> ControlConfig:
    """Read and check a configuration file. Raises ConfigError naming file and key."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        return parse(document)
    except (ConfigError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(document: dict[str, Any]) -> ControlConfig:
    """Check a configuration document. Raises ConfigError naming the key."""
    if not isinstance(document, dict):
        raise ConfigError("must hold a JSON object")
    known: dict[str, Any] = {**_REQUIRED, **_OPTIONAL}
    for key, value in document.items():
        if key not in known:
            raise ConfigError(f"unknown key {key!r}; known: {', '.join(sorted(known))}")
        if not isinstance(value, known[key]):
            raise ConfigError(f"{key}: {value!r} is of the wrong type")
    missing = sorted(set(_REQUIRED) - set(document))
    if missing:
        raise ConfigError(f"missing key {missing[0]!r}")
    services = tuple(
        Service(
            **{
                **item,
                "d_sids": tuple(ip_address(text) for text in item["d_sids"]),
                "flow_fields": tuple(item.get("flow_fields", Service.flow_fields)),
            }
        )
        for item in document["services"]
    )
    peers = tuple(Peer(**{**item, "address": ip_address(item["address"])}) for item in document.get("peers", []))
    d_router = DRouterConfig(
        site=document["site"],
        services=services,
        peers=peers,
        metric_lifetime_s=document.get("metric_lifetime_s", DRouterConfig.metric_lifetime_s),
        probe_interval_s=document.get("probe_interval_s", DRouterConfig.probe_interval_s),
        policy_parameters=document.get("policy_parameters", {}),
    )
    plain = {key: document[key] for key in _REQUIRED if key not in ("services", "out_dir")}
    return ControlConfig(**plain, out_dir=Path(document["out_dir"]), d_router=d_router)
