"""The configurations of all processes, and Hypothesis strategies for what they may say."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from ryu_apps.dyncast.config.control_process import ControlConfig
from testbed.agents.alto_client.config import AltoClientConfig
from testbed.agents.alto_server.config import AltoServerConfig
from testbed.agents.cluster.config import ClusterConfig
from testbed.agents.cluster_client.config import ClusterClientConfig
from testbed.agents.command_instance.config import CommandConfig
from testbed.agents.instance.config import InstanceConfig
from testbed.agents.metric_agent.config import HttpUrl, MetricAgentConfig
from testbed.agents.name_server.config import NameServerConfig
from testbed.agents.repository.config import RepositoryConfig
from testbed.emulation.relay.config import RelayConfig
from testbed.runtime.document import MISSING, Merged, ProcessConfig, Section, Tagged, section
from testbed.runtime.forms import (
    NETWORK,
    PATH,
    URL,
    Form,
    Integer,
    IpAddress,
    Listed,
    Mapped,
    Nullable,
    Number,
    NumberOrName,
    OneOf,
    Pair,
    Parsed,
    Text,
)
from traffic.config import GeneratorConfig, Sources
from traffic.loads.command_load import CommandLoadConfig

PROCESSES: Mapping[str, type[ProcessConfig]] = {
    "Service instance": InstanceConfig,
    "Command instance": CommandConfig,
    "Command load": CommandLoadConfig,
    "Metric agent (D-MA)": MetricAgentConfig,
    "Cluster": ClusterConfig,
    "Repository": RepositoryConfig,
    "ALTO server": AltoServerConfig,
    "ALTO client": AltoClientConfig,
    "Cluster client": ClusterClientConfig,
    "Name server": NameServerConfig,
    "Generator": GeneratorConfig,
    "D-Router control": ControlConfig,
    "Relay": RelayConfig,
}

_WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_NAMES = st.from_regex(r"[a-z][a-z0-9@-]{0,9}", fullmatch=True)
_PARSED: Mapping[str, st.SearchStrategy[Any]] = {
    PATH.wanted: _NAMES.map(PATH.parse),
    NETWORK.wanted: st.sampled_from(["10.0.0.0/8", "203.0.113.7/32", "fd00::/16"]).map(NETWORK.parse),
    URL.wanted: st.sampled_from(["http://10.0.0.1:8181/directory", "https://alto.example"]),
    "a MAC address": st.binary(min_size=6, max_size=6),
    "http://address:port/path": st.builds(
        HttpUrl, st.sampled_from(["10.0.0.1", "fd00::1"]), st.integers(1, 65535), st.sampled_from(["/", "/metrics"])
    ),
}
_FINITE = {"allow_nan": False, "allow_infinity": False}


def said_by(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Return configurations of a kind, each with what its process would take."""
    return _sections(section(kind))


def _sections(of: Section) -> st.SearchStrategy[Any]:
    needed = {name: _values(form) for name, form, default in of.fields if default is MISSING}
    optional = {name: _values(form) for name, form, default in of.fields if default is not MISSING}
    return st.fixed_dictionaries(needed, optional=optional).map(partial(_made, of.kind))


def _made(kind: type[Any], values: dict[str, Any]) -> Any:
    try:
        return kind(**values)
    except ValueError:  # good one by one, but not together
        assume(False)


def _tagged(of: Tagged) -> st.SearchStrategy[Any]:
    return st.one_of([st.none() if kind is None else _sections(kind) for kind in of.kinds.values()])


def _values(form: Form | Merged) -> st.SearchStrategy[Any]:
    """Return what a form takes."""
    match form:
        case Merged(of) | (Section() | Tagged() as of):
            return _sections(of) if isinstance(of, Section) else _tagged(of)
        case Text():
            return _WORDS
        case Parsed(wanted):
            return _PARSED[wanted]
        case OneOf(choices):
            return st.sampled_from(choices)
        case Integer(least, most):
            return st.integers(least, most)
        case Number(least, most, is_positive):
            return st.floats(1e-3 if is_positive else least or 0.0, 1e3 if most is None else most)
        case NumberOrName():
            return st.floats(0, 100) | _WORDS
        case IpAddress(version):
            return st.ip_addresses(v=version)
        case Nullable(of):
            return st.none() | _values(of)
        case Listed(of, length):
            return st.lists(_values(of), min_size=length.least, max_size=length.least + 2).map(tuple)
        case Pair(of):
            return st.tuples(*map(_values, of))
        case Mapped(of):
            return st.dictionaries(_WORDS, _values(of), max_size=2)
        case Sources():
            both = {4: st.ip_addresses(v=4), 6: st.ip_addresses(v=6)}
            return st.fixed_dictionaries({}, optional=both).filter(bool)
    raise AssertionError(f"{form} has no strategy")
