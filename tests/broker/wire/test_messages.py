"""What the messages say of themselves, which those who handle them rely on."""

from __future__ import annotations

from typing import get_args

import pytest
from broker_toys import share
from message_cases import action_of, timestep_of

from broker.faults.config import DropConfig
from broker.wire.messages import Faults, Gone, GoOn, Hello, Message, MessageKind, Metrics, Stop, name_of

VALUES = share().arrays["x"]
MESSAGES = [
    Hello(0, wants_reply=True),
    timestep_of(0, 1, 2, False, VALUES, VALUES, VALUES),
    action_of(0, 1, 2, VALUES),
    share(),
    Stop(""),
    Metrics(b""),
    Gone("agent-0"),
    GoOn(1),
    Faults("[]"),
]
OF_EACH_TYPE = pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)


def test_every_type_of_message_is_looked_at():
    assert {type(message) for message in MESSAGES} == set(get_args(Message))


@OF_EACH_TYPE
def test_hello_alone_takes_no_number(message):
    assert message.numbered is (type(message) is not Hello)


@OF_EACH_TYPE
def test_a_message_has_a_name_exactly_if_faults_may_touch_its_kind(message):
    name = name_of(message)
    assert (name is None) is (message.kind is None)
    if name is not None:
        assert name.kind == message.kind
        assert DropConfig(kind="drop", probability=1.0, messages=(message.kind,)).messages == (message.kind,)


def test_every_kind_that_faults_know_is_that_of_one_message():
    assert sorted(message.kind for message in MESSAGES if message.kind) == sorted(get_args(MessageKind))
