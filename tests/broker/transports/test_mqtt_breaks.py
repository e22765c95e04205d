"""What follows where an MQTT broker is not reached, refuses, or ends connections: with no broker and no clock."""

from __future__ import annotations

import math

import pytest

from broker.config import MqttConfig
from broker.errors import Unreachable, UserError
from broker.transports.mqtt.breaks import Breaks, Failure, NextTry
from broker.transports.mqtt.brokers import Brokers
from broker.transports.mqtt.who import Who
from broker.wire.records import EventKind

SILENCE = Failure("no route", None, *[False] * 5)
REFUSAL = Failure("Not authorized", "Check the keys.", *[False] * 5)
SHORT_S, LONG_S = 1.0, 100.0


def failing(**settings):
    fields = {name: getattr(SILENCE, name) for name in Failure.__dataclass_fields__}
    return Failure(**fields | settings)


class Scene:
    """One participant, its brokers, and a time that goes only where it is told to."""

    def __init__(self, *, brokers=1, gone_for_s=30.0, is_confirmed=True, expires_after_s=math.inf, **mqtt):
        self.now, self.said = 0.0, []
        self.brokers = Brokers([f"mqtt://host-{number}:1883" for number in range(brokers)])
        who = Who("a", "foretell-x-a", [], None, 5000, 1, is_confirmed=is_confirmed, expires_after_s=expires_after_s)
        config = MqttConfig.model_validate({"reconnect_s": 0.25, **mqtt})
        self.breaks = Breaks(who, config, self.brokers, gone_for_s, lambda kind, text: self.said.append((kind, text)))

    def connect(self, *, session_kept=True):
        self.breaks.welcome(self.now, self.now, session_kept=session_kept)
        self.brokers.reach()

    def fail(self, failure=SILENCE, *, after_s=0.0, ran=True):
        self.now += after_s
        then = self.breaks.face(failure, self.now, heard_at=self.now, ran=ran)
        self.brokers.turn()
        return then

    def kinds(self):
        return [kind for kind, _ in self.said]

    def pauses(self, count):
        return [self.breaks.next_pause_s() for _ in range(count)]


def test_pauses_grow_to_a_limit_and_are_short_again_after_a_connection_that_lasted():
    scene = Scene()
    assert scene.pauses(5) == [0.25, 0.5, 1.0, 2.0, 2.0]
    scene.connect()
    scene.fail(after_s=SHORT_S)
    assert scene.pauses(1) == [2.0]
    scene.connect()
    scene.fail(after_s=LONG_S)
    assert scene.pauses(2) == [0.25, 0.5]


def test_a_pause_longer_than_the_limit_that_the_scenario_asks_for_is_kept():
    assert Scene(reconnect_s=7.0).pauses(3) == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("taken_over", [False, True])
def test_short_connections_in_a_row_look_like_two_of_one_name_and_are_told_of_once(taken_over):
    scene, ended = Scene(), failing(was_taken_over=taken_over)
    for _ in range(5):
        scene.connect()
        scene.fail(ended, after_s=SHORT_S)
    (said,) = [text for kind, text in scene.said if kind == EventKind.CONTESTED]
    assert said.startswith("mqtt://host-0:1883 ended 3 connections of foretell-x-a soon after they began: is a running")
    assert ("This run needs 5000 bytes" in said) is not taken_over


@pytest.mark.parametrize("between", [{}, {"ran": False}], ids=["nobody there", "stopped meanwhile"])
def test_where_a_failure_to_connect_stands_between_short_connections_nobody_fights(between):
    scene = Scene()
    for _ in range(5):
        scene.connect()
        scene.fail(after_s=SHORT_S)
        scene.fail(**between)
    assert EventKind.CONTESTED not in scene.kinds()


def test_a_broker_that_is_gone_for_too_long_ends_it_with_a_sentence():
    scene = Scene(gone_for_s=30.0)
    scene.connect()
    scene.fail()
    for _ in range(5):
        scene.fail(after_s=5.0)
    with pytest.raises(Unreachable, match=r"has lost the MQTT broker at mqtt://host-0:1883 .* for 30 s .*: no route\."):
        scene.fail(after_s=5.0)


def test_how_long_a_broker_is_gone_is_counted_from_each_break_anew():
    scene = Scene(gone_for_s=12.0)
    for _ in range(5):
        scene.connect()
        scene.fail(after_s=LONG_S)
        scene.fail(after_s=6.0)
    with pytest.raises(Unreachable):
        scene.fail(after_s=6.0)


def test_the_time_in_which_this_process_stood_still_does_not_make_a_broker_gone():
    scene = Scene(gone_for_s=30.0)
    scene.connect()
    scene.fail()
    for _ in range(2):
        scene.fail(after_s=86_400.0)
    with pytest.raises(Unreachable):
        scene.fail(after_s=86_400.0)


def test_before_the_first_connection_nobody_is_gone():
    scene = Scene(gone_for_s=30.0)
    assert {scene.fail(after_s=86_400.0) for _ in range(9)} == {NextTry.NEXT_BROKER}
    assert scene.breaks.told == "no route. Does it run, and is the address right?"


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_another_version_is_tried_where_the_scenario_leaves_it_open_and_only_before_the_first_connection(protocol):
    scene, of_version = Scene(protocol=protocol), failing(is_of_version=True)
    assert scene.fail(of_version) is (NextTry.OTHER_VERSION if protocol == "auto" else NextTry.NEXT_BROKER)
    assert scene.fail(of_version, ran=False) is NextTry.NEXT_BROKER
    scene.connect()
    assert [scene.fail(of_version) for _ in range(2)] == [NextTry.NEXT_BROKER] * 2


def test_a_refusal_ends_it_with_what_to_do_and_silence_does_not():
    scene = Scene()
    scene.fail()
    said = r"^a cannot use the MQTT broker at mqtt://host-0:1883: Not authorized\. Check the keys\.$"
    with pytest.raises(UserError, match=said):
        scene.fail(REFUSAL)


def test_a_refusal_that_this_process_may_have_slept_through_ends_nothing():
    scene = Scene()
    assert scene.fail(REFUSAL, ran=False) is NextTry.NEXT_BROKER
    with pytest.raises(UserError):
        scene.fail(REFUSAL)


def test_of_several_brokers_the_last_hope_alone_refuses_for_good():
    scene = Scene(brokers=3)
    assert [scene.fail(REFUSAL) for _ in range(2)] == [NextTry.NEXT_BROKER] * 2
    with pytest.raises(UserError, match="host-2"):
        scene.fail(REFUSAL)


@pytest.mark.parametrize("brokers", [1, 2])
def test_what_may_mean_not_yet_is_waited_for_in_a_cluster_alone(brokers):
    scene, not_yet = Scene(brokers=brokers), failing(advice="Check the keys.", may_mean_not_yet=True)
    if brokers == 1:
        with pytest.raises(UserError):
            scene.fail(not_yet)
    else:
        assert {scene.fail(not_yet) for _ in range(5)} == {NextTry.NEXT_BROKER}
        assert scene.breaks.told == "no route. Check the keys."


@pytest.mark.parametrize("final", [False, True])
def test_a_connection_that_worked_is_ended_only_by_what_is_final(final):
    scene = Scene()
    scene.connect()
    ended = failing(advice="Raise the limit.", is_final=final)
    if final:
        with pytest.raises(UserError, match="Raise the limit"):
            scene.fail(ended)
    else:
        assert scene.fail(ended) is NextTry.NEXT_BROKER
    assert scene.kinds() == [EventKind.DISCONNECTED]


def test_of_wrong_dates_more_is_to_be_said_and_it_is_tried_again():
    scene = Scene()
    assert scene.fail(failing(advice="Check its certificate.", is_of_dates=True)) is NextTry.WRONG_DATE
    scene.breaks.explain("the clock of this host is late", "Set it.")
    assert scene.breaks.told == "the clock of this host is late. Set it."


@pytest.mark.parametrize(
    ("kept", "confirmed", "gone_s", "lost"),
    [(True, True, 59.0, False), (True, True, 60.0, True), (False, True, 1.0, True), (True, False, 1.0, True)],
)
def test_a_connection_made_anew_says_how_long_it_was_gone_and_whether_anything_may_be_lost(
    kept, confirmed, gone_s, lost
):
    scene = Scene(brokers=2, is_confirmed=confirmed, expires_after_s=60.0)
    scene.connect()
    scene.fail(after_s=LONG_S)
    scene.now += gone_s
    scene.connect(session_kept=kept)
    assert scene.said[:2] == [
        (EventKind.DISCONNECTED, "the connection to mqtt://host-0:1883 broke (no route): trying again"),
        (EventKind.RECONNECTED, f"connected to mqtt://host-1:1883 again after {gone_s:.1f} s"),
    ]
    told = (EventKind.UNDER_WAY_LOST, "a lost its connection to mqtt://host-0:1883, and what was under way may be lost")
    assert scene.said[2:] == ([told] if lost else [])
