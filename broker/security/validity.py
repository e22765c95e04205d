"""From when to when certificates are valid, and what to say where the clock of this host lies elsewhere.

Our own are valid at all times; these are those that somebody else has made, or an earlier version of ours.
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

_LOOK_WITHIN_S = 5.0
_NOT_YET, _EXPIRED = 9, 10
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_SET = "Set the clock (`timedatectl set-ntp true`, or `date -s`)"


def is_of_dates(error: BaseException | None) -> bool:
    """Whether a TLS error is that a certificate is not valid yet, or no more."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in (_NOT_YET, _EXPIRED)


def certificates_in(path: Path) -> list[x509.Certificate]:
    """The certificates in a file of PEM; none where it cannot be read or holds something else."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return []


def certificates_of(host: str, port: int) -> list[x509.Certificate]:
    """The certificate that a server shows, believed in nothing; none where it shows none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=_LOOK_WITHIN_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as shown,
        ):
            return [x509.load_der_x509_certificate(shown.getpeercert(binary_form=True) or b"")]
    except (OSError, ValueError):
        return []


def wrong_date(certificates: Sequence[x509.Certificate], now: dt.datetime) -> str | None:
    """What is wrong where the clock lies outside of one of some certificates; None where it lies within all of them.

    Args:
        certificates: Of a server, and of who signed for it.
        now: The time by the clock of this host.
    """
    for each in certificates:
        begin, end = each.not_valid_before_utc, each.not_valid_after_utc
        if not begin <= now <= end:
            advice = f"{_SET} if it is wrong; else make new certificates" if now > end else _SET
            return (
                f"the clock of this host says {_shown(now)}, but the certificate of {_name(each)} is valid from "
                f"{_shown(begin)} to {_shown(end)}. {advice}"
            )
    return None


def _name(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string())


def _shown(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
