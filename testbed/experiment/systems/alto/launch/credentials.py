"""Certificates and passwords of a run with TLS: where each is, and how they are made.

All are in one folder that only its owner may enter and that goes with the run, so none stands in a configuration or is
left with results. The key of the authority is never written.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from testbed.agents.alto_server.certificates import Authority
from testbed.agents.http import passwords
from testbed.experiment.systems.alto.plan.plan import SECURED, AltoPlan

_USER = "alto-client"
_PASSWORD_OCTETS = 16


@dataclass(frozen=True)
class Credentials:
    """The files of a run, where its scenario wants them; None where it does not."""

    folder: Path
    has_tls: bool
    has_passwords: bool

    @classmethod
    def of(cls, plan: AltoPlan, folder: Path) -> Credentials:
        """Return those of a plan, in a folder; writes nothing."""
        keys = plan.scenario.alto
        return cls(folder, keys is not None and keys.tls, keys is not None and keys.authentication != "none")

    @property
    def authority(self) -> Path | None:
        """The certificate that clients trust."""
        return self.folder / "authority.pem" if self.has_tls else None

    def certificate(self, kind: str) -> Path | None:
        """The certificate of a server."""
        return self.folder / f"{kind}.pem" if self.has_tls and kind in SECURED else None

    def key(self, kind: str) -> Path | None:
        """Its key."""
        return self.folder / f"{kind}.key" if self.has_tls and kind in SECURED else None

    @property
    def users(self) -> Path | None:
        """Who may ask the ALTO server, with passwords."""
        return self.folder / "alto.users" if self.has_passwords else None

    def write(self, plan: AltoPlan) -> None:
        """Make all of them."""
        if self.users is not None:
            passwords.write(self.users, {_USER: secrets.token_hex(_PASSWORD_OCTETS)})
        if self.authority is None:
            return
        authority = Authority(datetime.now(timezone.utc))
        authority.write(self.authority)
        for kind, server in plan.servers.items():
            certificate, key = self.certificate(kind), self.key(kind)
            if certificate is not None and key is not None:
                authority.vouch([str(server.address)], certificate, key, server.name)


NONE = Credentials(Path(), has_tls=False, has_passwords=False)
