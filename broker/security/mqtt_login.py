"""The account of an MQTT broker that has its own list of users: the password comes from a file or from the environment.

It is read where it is shown to the broker, in each participant's own process, so it stands in no document, slice, log
or command line.
"""

from __future__ import annotations

import os
from pathlib import Path

from broker.config import MOST_TEXT_BYTES, MqttConfig
from broker.errors import UserError
from broker.security.mqtt_access import MqttCredentials, refuse_if_open_to_others


def read_mqtt_login(config: MqttConfig) -> MqttCredentials | None:
    """Name and password as the settings say, or None where they name no user.

    Raises:
        UserError: The password is not where it should be, is none, or others can read it.
    """
    if not config.username:
        return None
    if config.password_file is not None:
        password = _first_line(config.password_file)
        where = f"the first line of {config.password_file} (transport.mqtt.password_file)"
    elif config.password_variable:
        password = os.environ.get(config.password_variable, "")
        where = f"the environment variable {config.password_variable} (transport.mqtt.password_variable)"
    else:
        return MqttCredentials(config.username, None, None, from_settings=True)
    if problem := _problem(password):
        msg = f"expected the MQTT broker's password in {where}, found {problem}"
        raise UserError(msg)
    return MqttCredentials(config.username, password, None, from_settings=True)


def _problem(password: str) -> str:
    """Why this is no password of MQTT; empty if it is one."""
    if not password:
        return "nothing"
    try:
        return f"more than {MOST_TEXT_BYTES} bytes" if len(password.encode()) > MOST_TEXT_BYTES else ""
    except UnicodeEncodeError:
        return "bytes that are no UTF-8"


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            refuse_if_open_to_others(path, os.fstat(file.fileno()).st_mode)
            return file.readline(MOST_TEXT_BYTES + 2).rstrip(b"\r\n").decode(errors="surrogateescape")
    except FileNotFoundError:
        msg = f"expected the MQTT broker's password in {path} (transport.mqtt.password_file), found no such file"
    except OSError as error:
        msg = f"cannot read the MQTT broker's password from {path} (transport.mqtt.password_file): {error.strerror}"
    raise UserError(msg)
