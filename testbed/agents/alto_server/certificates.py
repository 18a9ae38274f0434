"""Certificates for TLS: an authority of one's own and what it vouches for, written as PEM files.

The key of the authority is in memory only: nobody makes more certificates with it later.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.agents.http.tls import TlsFiles

_VALID = timedelta(days=30)
_CLOCKS_DIFFER = timedelta(hours=1)


class Authority:
    """An authority of one's own, whose key is in memory only. `now`: when what it vouches for begins to be valid."""

    def __init__(self, now: datetime) -> None:
        self._now, self._key = now, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dyncast authority of one run")])
        self._certificate = _signed(
            _builder(self._name, self._name, self._key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True),
            self._key,
        )

    def write(self, path: Path) -> None:
        """Write its certificate, which clients are to trust."""
        path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def vouch(self, names: Iterable[str], certificate: Path, key: Path, subject: str = "dyncast ALTO server") -> None:
        """Write the certificate of a server of these names and addresses, and its key."""
        own = ec.generate_private_key(ec.SECP256R1())
        issuer_key = self._key.public_key()
        whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        of_server = _signed(
            _builder(whose, self._name, own.public_key(), self._now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False),
            self._key,
        )
        certificate.write_bytes(of_server.public_bytes(serialization.Encoding.PEM))
        key.touch(mode=0o600)
        key.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def make(folder: Path, names: Iterable[str], now: datetime) -> TlsFiles:
    """Make an authority and the certificate of a server of these names and addresses, in a folder."""
    authority, files = Authority(now), TlsFiles(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    assert files.authority is not None
    authority.write(files.authority)
    authority.vouch(names, files.certificate, files.key)
    return files


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
