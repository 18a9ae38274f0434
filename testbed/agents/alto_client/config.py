"""The configuration of an ALTO client (docs/processes.md, "ALTO client"). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from testbed.net.addresses import Address
from testbed.runtime.config import ConfigError
from testbed.runtime.document import ProcessConfig
from testbed.runtime.forms import Integer, Positive, Url


@dataclass(frozen=True)
class AltoClientConfig(ProcessConfig):
    """The configuration of an ALTO client."""

    address: Address
    """It answers cluster clients here,"""
    port: Annotated[int, Integer(0, 65535)]
    """at this port (0: any that is free)."""
    directory: Url
    """The URL of the directory of its ALTO server."""
    repository: Address | None = None
    """Where functions come from: paths from there are in its lists."""
    authority: Path | None = None
    """Certificates that vouch for the server, PEM; null: those of this machine."""
    user: str | None = None
    """Who it says that it is, as `name:password`; null: it says nothing."""
    user_file: Path | None = None
    """A file that says so, in one line, in place of `user`."""
    certificate: Path | None = None
    """It serves HTTPS with this certificate, PEM,"""
    key: Path | None = None
    """and its key, PEM."""
    poll_s: Positive = 1.0
    """A server without an update stream, or with one that does not work, is asked this often."""
    pause_s: Positive = 0.2
    """After a failure; twice as long after each further one, up to `poll_s`."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigError(f"{'key' if self.key is None else 'certificate'} is missing; they go together")
        if self.user is not None and not all(self.user.partition(":")):
            raise ConfigError("user must be name:password")

    @property
    def credentials(self) -> tuple[str, str] | None:
        """Its name and password."""
        if self.user is None:
            return None
        name, _, password = self.user.partition(":")
        return name, password
