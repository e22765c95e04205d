"""Passwords, permissions and certificates: each participant's own, and for nobody else's eyes."""

from __future__ import annotations

import os
import stat

import pytest
from broker_toys import RUN
from cryptography import x509
from mqtt_toys import PEERS, edge

from broker.errors import UserError
from broker.security import mqtt_access
from broker.security.mqtt_access import is_password, make_mqtt_access, read_mqtt_credentials


@pytest.fixture
def keys(tmp_path):
    make_mqtt_access(tmp_path / "keys", RUN, PEERS, ["pi.local", "10.0.0.7"])
    return tmp_path / "keys"


def test_everybody_has_a_password_of_his_own_and_the_broker_its_hash(keys):
    own = {name: read_mqtt_credentials(keys / name) for name in PEERS}
    assert [each.username for each in own.values()] == list(PEERS)
    assert len({each.password for each in own.values()}) == len(PEERS)
    text = (keys / "broker" / "passwords").read_text()
    hashes = dict(line.split(":") for line in text.splitlines())
    for name, each in own.items():
        assert each.ca == keys / name / "ca.pem"
        assert each.password not in text
        assert [other for other in PEERS if is_password(each.password, hashes[other])] == [name]


def test_permissions_are_the_own_edges_and_nothing_else(keys):
    granted = (keys / "broker" / "acl").read_text().split("\n\n")[0].splitlines()
    assert granted == [
        "user agent-0",
        f"topic write {edge('agent-0', 'agent-1')}",
        f"topic write {edge('agent-0', 'agent-2')}",
        f"topic read {edge('agent-1', 'agent-0')}",
        f"topic read {edge('agent-2', 'agent-0')}",
    ]


def test_nobody_else_can_read_any_of_it_not_even_while_it_is_written(tmp_path, monkeypatch):
    seen = []
    fdopen = os.fdopen

    def look(descriptor, mode):
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return fdopen(descriptor, mode)

    monkeypatch.setattr(mqtt_access.os, "fdopen", look)
    before = os.umask(0)
    try:
        make_mqtt_access(tmp_path / "keys", RUN, PEERS, [])
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "keys").rglob("*") if path.is_file()]
    assert seen == [0o600] * len(files) == [stat.S_IMODE(path.stat().st_mode) for path in files]
    folders = [path for path in (tmp_path / "keys").rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_the_certificate_names_the_hosts_and_this_one(keys):
    certificate = x509.load_pem_x509_certificate((keys / "broker" / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["pi.local", "localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7", "127.0.0.1"]
    authority = x509.load_pem_x509_certificate((keys / "broker" / "ca.pem").read_bytes())
    certificate.verify_directly_issued_by(authority)


def test_the_key_that_signs_certificates_is_kept_nowhere(keys):
    secret = [
        path.relative_to(keys).as_posix()
        for path in keys.rglob("*.*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    ]
    assert secret == ["broker/server.key"]


def test_keys_are_not_overwritten(keys):
    before = read_mqtt_credentials(keys / "agent-0")
    with pytest.raises(UserError, match=r"exists already: delete the folder"):
        make_mqtt_access(keys, RUN, PEERS, [])
    assert read_mqtt_credentials(keys / "agent-0") == before


@pytest.mark.parametrize("name", ["broker", "a b", "a/b", "+", "#", "", "a\nuser b", "../a"])
def test_a_name_that_would_mean_something_else_in_a_topic_or_file_is_refused(name, tmp_path):
    with pytest.raises(UserError, match="expected a name of letters"):
        make_mqtt_access(tmp_path, RUN, {name: []}, [])
    assert not list(tmp_path.iterdir())


def test_a_host_that_cannot_stand_in_a_certificate_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected a DNS name or an IP address, found 'bücher'"):
        make_mqtt_access(tmp_path, RUN, PEERS, ["bücher"])


def test_missing_credentials_are_asked_for(tmp_path):
    with pytest.raises(UserError, match=r"found no such file: copy this participant's folder"):
        read_mqtt_credentials(tmp_path)


def test_unreadable_credentials_are_named(tmp_path):
    (tmp_path / "mqtt.json").mkdir(mode=0o700)
    with pytest.raises(UserError, match="cannot read MQTT's password"):
        read_mqtt_credentials(tmp_path)


def test_credentials_that_others_can_read_are_refused(keys):
    (keys / "agent-0" / "mqtt.json").chmod(0o640)
    with pytest.raises(UserError, match=r"open to others \(mode 640\)"):
        read_mqtt_credentials(keys / "agent-0")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"username": "a"}', '{"username": 1, "password": "b"}', "{"])
def test_malformed_credentials_are_refused(text, keys):
    (keys / "agent-0" / "mqtt.json").write_text(text)
    with pytest.raises(UserError, match="found something else"):
        read_mqtt_credentials(keys / "agent-0")


def test_a_participant_without_an_authority_has_credentials_all_the_same(keys):
    (keys / "agent-0" / "ca.pem").unlink()
    assert read_mqtt_credentials(keys / "agent-0").ca is None
