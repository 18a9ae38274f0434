"""The configuration of a cluster client (docs/processes.md, "Cluster client"). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from testbed.faas.cluster_client.settings import ClientSettings
from testbed.faas.placement import policies
from testbed.faas.placement.policies import Margin
from testbed.net.addresses import Address, Network
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, ProcessConfig
from testbed.runtime.forms import (
    Count,
    Integer,
    Mapped,
    NotNegative,
    Number,
    NumberOrName,
    OneOf,
    Positive,
    Size,
    Texts,
    Url,
)


@dataclass(frozen=True)
class SteeringConfig(Document):
    """Where users of a function are sent who are steered on by the network."""

    url: Url
    """Of an address that all clusters with the function share, its D-SID."""
    kept_s: Size = 10
    """They keep it for so long, and ask again then."""
    announced_after_s: NotNegative = 3.0
    """The network knows of a cluster that has had the function for so long; before, users are sent to the cluster."""


@dataclass(frozen=True)
class PlacedFunction(Document):
    """What is known of a function before any cluster ran it; the repository has the rest."""

    start_ms: NotNegative = 100.0
    """Until a container waits for its code."""
    init_ms: NotNegative = 100.0
    """Until the container has taken the code in."""
    run_ms: NotNegative = 100.0
    """A run of it."""
    request_bytes: Size = 0
    """What a user sends,"""
    answer_bytes: Size = 0
    """and gets back."""
    replicas: Count = 1
    """How many clusters hold it for the users of a site."""
    held_by: Texts = ()
    """Clusters where it is put by other means, and stays."""
    steering: SteeringConfig | None = None
    """Where its users are sent in place of a cluster; null: to a cluster."""


@dataclass(frozen=True)
class ClusterPlace(Document):
    """Where a cluster is."""

    url: Url
    """Of its API, as users reach it, too."""
    auth: str
    """What it is shown, as `uuid:key`."""

    def __post_init__(self) -> None:
        if not all(self.auth.partition(":")):
            raise ConfigError("auth must be uuid:key")


@dataclass(frozen=True)
class ClusterClientConfig(ProcessConfig):
    """The configuration of a cluster client."""

    address: Address
    """It answers users here,"""
    port: Annotated[int, Integer(0, 65535)]
    """at this port (0: any that is free)."""
    alto_client: Url
    """Where it asks for lists of clusters."""
    repository: Url
    """Where clusters get functions."""
    seed: int
    """Of what is drawn: ties, and the policy `random`."""
    functions: Mapping[str, PlacedFunction]
    """The functions that users may ask for, by name."""
    clusters: Mapping[str, ClusterPlace]
    """The clusters, by name."""
    policy: Annotated[str, OneOf(tuple(policies.POLICIES))] = "alto"
    """Which cluster is better than another."""
    policy_parameters: Annotated[Mapping[str, float | str], Mapped(NumberOrName())] = field(default_factory=dict)
    """Parameters of the policy, by name."""
    truth_dir: Path | None = None
    """Policy `oracle`: the folder in which clusters, and who runs the network, show how all is; it asks for no list."""
    sites: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    """Addresses of users, by site; each other address is a site of its own."""
    authority: Path | None = None
    """Certificates that vouch for the ALTO client, PEM; null: those of this machine."""
    horizon_s: Positive = 60.0
    """A delivery has to pay within this time."""
    move_factor: NotNegative = 2.0
    """What a move saves within that must be more than so many times what it costs,"""
    least_saving: Annotated[float, Number(0, 1)] = 0.1
    """and more than this share of an answer's time."""
    silent_after_s: Positive = 10.0
    """A cluster of which nothing was measured for so long is left out while there are others."""
    refresh_s: NotNegative = 1.0
    """A list that is older is asked for again."""
    report_lag_s: NotNegative = 5.0
    """What a list says that a cluster holds may be so much older than the list: as old as the server keeps reports."""
    wait_s: Positive = 30.0
    """A request waits for a delivery for so long at most."""
    most_waiting: Count = 1000
    """So many requests wait at most."""
    delivery_s: Positive = 300.0
    """A delivery that takes longer is given up."""
    unused_s: Positive | None = None
    """A function that no user was sent to for so long is removed; null: never."""

    def __post_init__(self) -> None:
        for name, function in self.functions.items():
            odd = [cluster for cluster in function.held_by if cluster not in self.clusters]
            if odd:
                raise ConfigError(f"functions.{name}.held_by names {odd[0]!r}, which is none of clusters")
        if self.policy == policies.ORACLE and self.truth_dir is None:
            raise ConfigError("truth_dir: the policy oracle needs the folder in which the truth is shown")
        try:
            policies.create(self.policy, **self.policy_parameters)
        except ValueError as error:
            raise ConfigError(f"policy_parameters: {error}") from error

    @property
    def settings(self) -> ClientSettings:
        """The settings of the core."""
        return ClientSettings(
            horizon_s=self.horizon_s,
            margin=Margin(self.move_factor, self.least_saving),
            silent_after_s=self.silent_after_s,
            refresh_s=self.refresh_s,
            report_lag_s=0.0 if self.policy == policies.ORACLE else self.report_lag_s,
            wait_s=self.wait_s,
            most_waiting=self.most_waiting,
            delivery_s=self.delivery_s,
            unused_s=self.unused_s,
        )

    @property
    def announced_after_s(self) -> Mapping[str, float]:
        """The functions whose users the network steers, and how long after a delivery it does."""
        return {name: of.steering.announced_after_s for name, of in self.functions.items() if of.steering is not None}

    @property
    def held(self) -> Mapping[str, tuple[str, ...]]:
        """The clusters, by function, that functions are put at by other means."""
        return {name: function.held_by for name, function in self.functions.items() if function.held_by}
