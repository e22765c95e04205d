"""The account of an MQTT broker: its password comes from a file or the environment, and nobody else sees it."""

from __future__ import annotations

import pytest

from broker.config import MqttConfig
from broker.errors import UserError
from broker.security.mqtt_login import read_mqtt_login

SECRET = "p4ss wörd"


def config(**settings) -> MqttConfig:
    return MqttConfig(address="mqtt://127.0.0.1:1", username="me", **settings)


def written(folder, content: bytes, mode=0o600):
    path = folder / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\nanother line\n"])
def test_a_password_is_the_first_line_of_its_file(tmp_path, end) -> None:
    login = read_mqtt_login(config(password_file=written(tmp_path, SECRET.encode() + end)))
    assert login is not None
    assert (login.username, login.password) == ("me", SECRET)


def test_a_password_is_taken_from_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", SECRET)
    login = read_mqtt_login(config(password_variable="BROKER_PASSWORD"))
    assert login is not None
    assert login.password == SECRET
    assert SECRET not in repr(login)
    assert "me" not in repr(login).replace("username", "").replace("from_settings", "")


def test_who_names_no_user_has_no_account_and_who_names_no_password_shows_none() -> None:
    assert read_mqtt_login(MqttConfig()) is None
    login = read_mqtt_login(config())
    assert login is not None
    assert login.password is None


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        (b"", 0o600, "found nothing"),
        (b"\nhush", 0o600, "found nothing"),
        (b"\xff\xfe", 0o600, "no UTF-8"),
        (b"x" * 70_000, 0o600, "more than 65535 bytes"),
        (b"hush", 0o644, r"open to others \(mode 644\)"),
        (None, 0o600, "found no such file"),
    ],
)
def test_a_file_that_holds_no_password_is_told_without_what_it_holds(tmp_path, content, mode, sentence) -> None:
    path = tmp_path / "none" if content is None else written(tmp_path, content, mode)
    with pytest.raises(UserError, match=sentence) as caught:
        read_mqtt_login(config(password_file=path))
    assert str(path) in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_told_by_its_name(monkeypatch, value) -> None:
    monkeypatch.delenv("BROKER_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("BROKER_PASSWORD", value)
    with pytest.raises(UserError, match=r"environment variable BROKER_PASSWORD .*found nothing"):
        read_mqtt_login(config(password_variable="BROKER_PASSWORD"))
