"""TLS for servers and clients of HTTP: contexts from PEM files, and what is wrong with a file, in one line.

Makes no certificates (`testbed.agents.alto_server.certificates` does).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import InputError


class TlsError(InputError):
    """A certificate or key that TLS cannot use; the text names the file."""


class CannotTrust(InputError):
    """A file of an authority's certificate that is none."""


@dataclass(frozen=True)
class TlsFiles:
    """A server's certificate and key; `authority`: that of the certificate, which clients are to trust."""

    certificate: Path
    key: Path
    authority: Path | None = None


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what a server does TLS by. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (files.certificate, files.key):
        if not path.is_file():
            raise TlsError(f"{path}: there is no such file; it must hold PEM")
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        text = f"{files.certificate} and {files.key}: are no certificate with its key, without a passphrase, in PEM"
        raise TlsError(text) from error
    return context


def client_context(authority: Path | None) -> ssl.SSLContext:
    """Return what a client trusts: an authority, or those of this machine. Raises CannotTrust."""
    try:
        return ssl.create_default_context(cafile=None if authority is None else str(authority))
    except ssl.SSLError as error:
        raise CannotTrust(f"{authority}: holds no certificate in PEM") from error
    except OSError as error:
        raise CannotTrust(f"{authority}: {error.strerror}; is the path right?") from error


def why_untrusted(error: ssl.SSLCertVerificationError | ssl.CertificateError | Exception) -> str:
    """Return why a server's certificate is not trusted."""
    return getattr(error, "verify_message", "") or str(error)
