"""The distributions of service times that a configuration may ask for (docs/processes.md). Pure.

Owns their keys, in milliseconds; what they are is `testbed.queueing.service_times`' business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from testbed.queueing.service_times import BoundedPareto, Constant, Exponential, Lognormal, ServiceTime
from testbed.runtime.config import parse
from testbed.runtime.document import Document, Tagged
from testbed.runtime.forms import Positive


@dataclass(frozen=True)
class DistributionConfig(Document, ABC):
    """A distribution with a mean."""

    mean_ms: Positive
    """Its mean."""

    def __post_init__(self) -> None:
        _ = self.distribution  # there may be none with these parameters

    @cached_property
    def distribution(self) -> ServiceTime:
        """The distribution itself. Raises ServiceTimeError if there is none."""
        return self._made(self.mean_ms * 1e-3)

    @abstractmethod
    def _made(self, mean_s: float) -> ServiceTime:
        """Return the distribution."""


@dataclass(frozen=True)
class ConstantConfig(DistributionConfig):
    """Always the same."""

    def _made(self, mean_s: float) -> ServiceTime:
        return Constant(mean_s)


@dataclass(frozen=True)
class ExponentialConfig(DistributionConfig):
    """Memoryless."""

    def _made(self, mean_s: float) -> ServiceTime:
        return Exponential(mean_s)


@dataclass(frozen=True)
class LognormalConfig(DistributionConfig):
    """Skewed."""

    sigma: Positive
    """Standard deviation of the logarithm."""

    def _made(self, mean_s: float) -> ServiceTime:
        return Lognormal(mean_s, self.sigma)


@dataclass(frozen=True)
class BoundedParetoConfig(DistributionConfig):
    """Heavy-tailed."""

    alpha: Positive
    """Exponent of the tail."""
    max_ms: Positive
    """Never above it."""

    def _made(self, mean_s: float) -> ServiceTime:
        return BoundedPareto(mean_s, self.alpha, self.max_ms * 1e-3)


DISTRIBUTION = Tagged(
    "distribution",
    {
        "constant": ConstantConfig,
        "exponential": ExponentialConfig,
        "lognormal": LognormalConfig,
        "bounded_pareto": BoundedParetoConfig,
    },
)
Distribution = Annotated[DistributionConfig, DISTRIBUTION]


def read(document: object) -> DistributionConfig:
    """Return the distribution that an object asks for. Raises ConfigError."""
    made: DistributionConfig = parse(document, DISTRIBUTION.read)
    return made
