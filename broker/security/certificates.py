"""Certificates of one broker: a certificate authority that signs it and is thrown away at once.

They are valid at all times. Whoever holds the authority's certificate trusts the one key that it has signed, today as
in ten years, and a board without a clock of its own believes that it is 1970.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.errors import UserError

ALWAYS = ("localhost", "127.0.0.1")
"""Names that every certificate holds."""
_BEGINNING, _END = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
"""The second is how a certificate says that it does not expire (RFC 5280, section 4.1.2.5)."""


class ServerCertificate(NamedTuple):
    """What a server shows and what its clients check it with; all PEM.

    Attributes:
        authority: Certificate of the authority; its key exists no more, so it never signs another.
        certificate: Certificate of the server.
        key: The server's secret key, EC P-256.
    """

    authority: bytes
    certificate: bytes
    key: bytes


def make_server_certificate(common_name: str, hosts: Sequence[str]) -> ServerCertificate:
    """A certificate for a server that is reached under `hosts`, valid whatever the date.

    Args:
        common_name: Says in both certificates what they are for.
        hosts: DNS names and IP addresses; `localhost` and `127.0.0.1` are added.

    Raises:
        UserError: A host cannot stand in a certificate.
    """
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name, name = _name(f"authority of {common_name}"[:64]), _name(common_name[:64])
    authority = (
        _begin(authority_name, authority_name, authority_key.public_key(), authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _begin(name, authority_name, key.public_key(), authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([_host(host) for host in dict.fromkeys((*hosts, *ALWAYS))]), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    return ServerCertificate(authority.public_bytes(pem), certificate.public_bytes(pem), secret)


def is_for(certificate: x509.Certificate, hosts: Sequence[str]) -> bool:
    """Whether a certificate of `make_server_certificate` names all of `hosts`."""
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {_host(host) for host in hosts} <= set(named)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGINNING)
        .not_valid_after(_END)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not host.isascii() or not host:
            msg = f"expected a DNS name or an IP address, found {host!r}"
            raise UserError(msg) from None
        return x509.DNSName(host)
