"""Certificates and clocks: our own serve whatever the date; those of others get a sentence where the date is wrong."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker_toys import make_codec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder
from cryptography.x509.verification import Store as Trusted
from mqtt_toys import AGENTS, PEERS, need_mosquitto

from broker.config import TransportConfig
from broker.errors import Unreachable
from broker.security.certificates import make_server_certificate
from broker.security.mqtt_access import MqttCredentials, make_mqtt_access
from broker.security.validity import certificates_in, wrong_date
from broker.servers.mqtt_server import start_mqtt_server
from broker.transports.mqtt.transport import MqttTransport

DATES = (
    dt.datetime(1970, 1, 1, 0, 0, 20, tzinfo=dt.UTC),
    dt.datetime(2013, 2, 9, tzinfo=dt.UTC),
    dt.datetime(2300, 1, 1, tzinfo=dt.UTC),
)
DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)


def made(begin: dt.datetime, end: dt.datetime) -> tuple[bytes, bytes]:
    """A certificate of 127.0.0.1 that signs itself, and its key; PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a broker of others")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return certificate.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


@pytest.mark.parametrize("date", DATES, ids=lambda date: str(date.year))
def test_our_own_certificates_are_believed_whatever_the_clock_says(date: dt.datetime) -> None:
    found = make_server_certificate("foretell r", ["pi.local"])
    authority = x509.load_pem_x509_certificate(found.authority)
    certificate = x509.load_pem_x509_certificate(found.certificate)
    trusted = PolicyBuilder().store(Trusted([authority])).time(date)
    chain = trusted.build_server_verifier(x509.DNSName("pi.local")).verify(certificate, [])
    assert chain == [certificate, authority]
    assert wrong_date([authority, certificate], date) is None


def test_a_clock_before_or_after_a_certificate_is_told_with_both_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    begin, end = dt.datetime(2020, 5, 1, tzinfo=dt.UTC), dt.datetime(2021, 5, 1, tzinfo=dt.UTC)
    path.write_bytes(made(begin, end)[0])
    found = certificates_in(path)
    early, late = wrong_date(found, DATES[0]), wrong_date(found, DATES[2])
    assert wrong_date(found, dt.datetime(2020, 12, 1, tzinfo=dt.UTC)) is None
    assert early is not None
    assert early.startswith("the clock of this host says 1970-01-01 00:00 UTC, but the certificate of")
    assert "is valid from 2020-05-01 00:00 UTC to 2021-05-01 00:00 UTC. Set the clock (`timedatectl" in early
    assert late is not None
    assert "else make new certificates" in late
    assert certificates_in(tmp_path / "nothing") == []


@contextmanager
def served(folder: Path, begin: dt.datetime, end: dt.datetime) -> Iterator[tuple[str, str, Path]]:
    """A broker of others with such a certificate: its address, what it says of itself, and a participant's keys."""
    make_mqtt_access(folder, "r", PEERS, [])
    certificate, key = made(begin, end)
    for path in [*folder.glob("*/ca.pem"), folder / "broker" / "server.pem"]:
        path.write_bytes(certificate)
    (folder / "broker" / "server.key").write_bytes(key)
    server = start_mqtt_server("auto", folder, TransportConfig(), access=folder / "broker")
    try:
        yield server.address, server.note, folder / AGENTS[0] / "ca.pem"
    finally:
        server.close()


def clock_in(said: str) -> dt.datetime:
    """The time that a sentence says the clock of this host has, to the minute."""
    found = re.search(r"the clock of this host says (\d{4}-\d\d-\d\d \d\d:\d\d) UTC, but", said)
    assert found is not None, said
    return dt.datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=dt.UTC)


@pytest.mark.processes
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket to Python
@pytest.mark.parametrize(
    ("begins_in", "advice"),
    [(30 * DAY, "Set the clock"), (-60 * DAY, "else make new certificates")],
    ids=["not yet", "no more"],
)
def test_a_broker_whose_certificate_is_of_another_time_is_a_sentence_about_clocks(
    tmp_path: Path, begins_in: dt.timedelta, advice: str
) -> None:
    need_mosquitto()
    asked = dt.datetime.now(dt.UTC)
    begin, end = asked + begins_in, asked + begins_in + 30 * DAY
    with served(tmp_path / "keys", begin, end) as (address, note, authority):
        credentials = MqttCredentials(AGENTS[0], "any", authority)
        with pytest.raises(Unreachable) as refused:
            MqttTransport(
                AGENTS[0],
                [AGENTS[1]],
                address,
                make_codec(AGENTS[0], [AGENTS[1]]),
                TransportConfig(),
                credentials=credentials,
                largest_bytes=0,
                connect_within_s=2.0,
                gone_for_s=2.0,
            )
    for said in (note, str(refused.value)):
        assert asked - MINUTE <= clock_in(said) <= dt.datetime.now(dt.UTC)
        assert f"is valid from {begin:%Y-%m-%d}" in said
        assert f"to {end:%Y-%m-%d}" in said
        assert advice in said
        assert "SSL" not in said
        assert "Does it run" not in said
