"""Certificates that are made for a server (RFC 6125: names are in subjectAltName, and not in the common name)."""

from __future__ import annotations

from datetime import datetime, timezone
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.agents.alto_server import certificates

NOW = datetime(2026, 5, 4, tzinfo=timezone.utc)


def test_a_certificate_is_for_names_and_addresses_and_for_a_server_alone(tmp_path: Path) -> None:
    files = certificates.make(tmp_path, ["alto.example.org", "127.0.0.1", "::1"], NOW)
    made = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["alto.example.org"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]
    assert "alto.example.org" not in [of.value for of in made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    used = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(used) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert files.key.stat().st_mode & 0o077 == 0
