"""HELLO: everybody is heard, whoever starts first, and then there is silence."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from broker.config import JoiningConfig
from broker.errors import PeerLost, WrongRun
from broker.participants.joining import Joining
from broker.participants.participant import Send
from broker.wire.identity import Identity
from broker.wire.messages import Hello

APART_S = 0.25
CONFIG = JoiningConfig()
OURS = Identity("toy-aaaaaaaa", "0123456789abcdef" * 4, "0.1.0", 1)
NOBODY = Identity()
OTHER = {
    "run": replace(OURS, run="toy-bbbbbbbb"),
    "document": replace(OURS, document="fedcba9876543210" * 4),
    "version": replace(OURS, version="0.2.0"),
    "arithmetic": replace(OURS, arithmetic=2),
}


def joins(name, peers, config=CONFIG, incarnation=0, identity=NOBODY):
    return Joining(name, peers, config, incarnation, identity)


class Hall:
    """Participants that start one after the other; what is said to one not yet there is lost."""

    def __init__(self, names, config=CONFIG):
        self.names, self.config, self.now, self.messages = names, config, 0.0, 0
        self.there, self.ended = {}, {}

    def arrive(self, name, incarnation=0, identity=OURS):
        peers = tuple(peer for peer in self.names if peer != name)
        self.there[name] = Joining(name, peers, self.config, incarnation, identity)
        self.carry_out(name, self.there[name].start(self.now))

    def carry_out(self, source, commands):
        under_way = [(source, command) for command in commands]
        while under_way:
            source, command = under_way.pop(0)
            self.messages += 1
            assert self.messages < 10_000, "they answer each other for ever"
            if isinstance(command, Send) and command.destination in self.there:
                replies = self.there[command.destination].hear(source, command.message)
                under_way += [(command.destination, reply) for reply in replies]

    def next_deadline(self):
        return min((at for one in self.there.values() if (at := one.deadline) is not None), default=None)

    def go_on_until(self, end):
        while (at := self.next_deadline()) is not None and at <= end:
            self.now = at
            for name, one in list(self.there.items()):
                if one.deadline is not None and one.deadline <= at:
                    try:
                        self.carry_out(name, one.expire(at))
                    except (WrongRun, PeerLost) as error:
                        self.ended[name] = (self.now, error)
                        del self.there[name]
        self.now = end

    @property
    def complete(self):
        return len(self.there) == len(self.names) and all(one.complete for one in self.there.values())


@pytest.mark.parametrize("apart_s", [0.0, APART_S])
@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")], ids=len)
def test_every_order_of_starts_completes_with_a_bounded_number_of_messages(names, apart_s):
    for order in itertools.permutations(names):
        hall = Hall(names)
        for name in order:
            hall.arrive(name)
            hall.go_on_until(hall.now + apart_s)
        hall.go_on_until(hall.now + CONFIG.hello_interval_s)
        assert hall.complete
        assert hall.next_deadline() is None
        asked = math.ceil(apart_s * len(names) / CONFIG.hello_interval_s) + 2
        assert hall.messages <= 2 * asked * len(names) * (len(names) - 1)


def test_two_who_hear_each_other_say_no_more_than_five_words():
    hall = Hall(("a", "b"))
    hall.arrive("a")
    hall.arrive("b")
    hall.go_on_until(CONFIG.hello_interval_s)
    assert hall.complete
    assert hall.messages <= 5


def test_to_be_heard_counts_and_not_to_hear():
    joining = joins("a", ("b", "c"), CONFIG)
    joining.start(0.0)
    joining.hear("b", Hello(0, wants_reply=True))
    assert not joining.complete
    assert joining.waits_for().endswith("waits for HELLO from c and for an answer from b, heard but not hearing it")
    joining.hear("b", Hello(0, wants_reply=False))
    joining.hear("c", Hello(0, wants_reply=False))
    assert joining.complete


def test_a_lost_hello_is_said_again_after_the_interval():
    joining = joins("a", ("b", "c"), CONFIG)
    asked = [Send("b", Hello(0, wants_reply=True)), Send("c", Hello(0, wants_reply=True))]
    assert joining.start(10.0) == asked
    assert joining.deadline == 10.1
    assert joining.expire(10.1) == asked
    joining.hear("b", Hello(0, wants_reply=False))
    assert joining.expire(10.2) == asked[1:]


def test_one_that_comes_late_or_comes_back_is_answered_by_those_who_are_complete():
    hall = Hall(("a", "b"))
    hall.arrive("a")
    hall.arrive("b")
    hall.go_on_until(CONFIG.hello_interval_s)
    for life in (1, 2):
        hall.arrive("b", life)
        assert hall.complete
        assert hall.next_deadline() is None


def test_an_answer_is_never_answered_and_says_which_life_speaks():
    joining = joins("a", ("b",), CONFIG, incarnation=3)
    assert joining.hear("b", Hello(0, wants_reply=True)) == [Send("b", Hello(3, wants_reply=False))]
    assert joining.hear("b", Hello(0, wants_reply=False)) == []


def test_who_has_no_peers_is_complete_at_once():
    joining = joins("a", (), CONFIG)
    assert joining.start(0.0) == []
    assert joining.complete
    assert joining.deadline is None


def test_it_gives_up_on_time_and_names_who_is_missing_and_no_one_else():
    joining = joins("agent-0", ("agent-1", "environment", "agent-2"), JoiningConfig(give_up_s=1.0))
    joining.start(5.0)
    joining.hear("environment", Hello(0, wants_reply=False))
    asked = 0
    with pytest.raises(PeerLost) as caught:  # noqa: PT012
        while asked < 100:
            now = joining.deadline
            joining.expire(now)
            asked += 1
    assert 6.0 <= now <= 6.0 + CONFIG.hello_interval_s
    assert asked in (9, 10)
    text = str(caught.value)
    assert "agent-0 in JOINING waits for HELLO from agent-1, agent-2" in text
    assert "joining.give_up_s = 1.0 s" in text
    assert "environment" not in text


def test_it_gives_up_on_time_even_when_it_asks_seldom():
    joining = joins("a", ("b",), JoiningConfig(hello_interval_s=60.0, give_up_s=1.0))
    joining.start(0.0)
    assert joining.deadline == 1.0
    with pytest.raises(PeerLost):
        joining.expire(1.0)


@pytest.mark.parametrize("what", OTHER)
@pytest.mark.parametrize("first", ["a", "b", "c"])
def test_who_belongs_to_another_run_is_refused_by_name_and_so_are_the_others_by_it(first, what):
    hall = Hall(("a", "b", "c"))
    for name in (first, *{"a", "b", "c"} - {first}):
        hall.arrive(name, identity=OTHER[what] if name == "c" else OURS)
        hall.go_on_until(hall.now + APART_S)
    hall.go_on_until(CONFIG.give_up_s / 10)
    assert hall.ended.keys() == {"a", "b", "c"}
    assert {type(error) for _, error in hall.ended.values()} == {WrongRun}
    shown, ours, other = {
        "run": ("run toy-%s", "a" * 8, "b" * 8),
        "document": ("document %s", "0123456789abcdef", "fedcba9876543210"),
        "version": ("Foretell %s", "0.1.0", "0.2.0"),
        "arithmetic": ("arithmetic %s", "1", "2"),
    }[what]
    assert f"a cannot work with c: expected {shown % ours}, found {shown.split()[-1] % other}." in str(
        hall.ended["a"][1]
    )
    assert f"c cannot work with a: expected {shown % other}, found {shown.split()[-1] % ours}." in str(
        hall.ended["c"][1]
    )


def test_nobody_ends_before_all_others_had_time_to_hear_of_it():
    hall = Hall(("a", "b", "c"))
    hall.arrive("a")
    hall.arrive("c", identity=OTHER["document"])
    hall.go_on_until(CONFIG.give_up_s / 2)
    assert hall.ended == {}
    assert "c cannot work" not in hall.there["a"].waits_for()
    assert "a cannot work with c: expected document" in hall.there["a"].waits_for()
    hall.arrive("b")
    hall.go_on_until(CONFIG.give_up_s * 2 / 3)
    assert hall.ended.keys() == {"a", "b", "c"}


def test_a_hello_of_another_run_is_answered_and_is_no_sign_of_the_peer():
    joining = joins("a", ("b",), CONFIG, identity=OURS)
    joining.start(0.0)
    for wants_reply in (True, False):
        commands = joining.hear("b", Hello(7, wants_reply, OTHER["run"]))
        answers = [each for each in commands if isinstance(each, Send)]
        assert answers == ([Send("b", Hello(0, wants_reply=False, identity=OURS))] if wants_reply else [])
        assert not joining.complete
    joining.hear("b", Hello(0, wants_reply=False, identity=OURS))
    assert joining.complete
    assert joining.hear("b", Hello(7, wants_reply=True, identity=OTHER["run"])) != []
    assert joining.complete


def test_a_few_forged_hellos_end_nothing_where_the_peer_comes():
    joining = joins("a", ("b",), CONFIG, identity=OURS)
    joining.start(0.0)
    for turn in range(1, 200):
        joining.hear("b", Hello(0, wants_reply=turn % 2 == 0, identity=replace(OURS, run=f"forged-{turn}")))
        joining.expire(joining.deadline)
    joining.hear("b", Hello(0, wants_reply=False, identity=OURS))
    assert joining.complete


def test_one_of_another_run_that_has_ended_meanwhile_is_named_and_not_waited_for():
    joining = joins("a", ("b",), CONFIG, identity=OURS)
    joining.start(0.0)
    for _ in range(12):
        joining.hear("b", Hello(0, wants_reply=True, identity=OTHER["run"]))
    with pytest.raises(WrongRun, match="a cannot work with b: expected run toy-aaaaaaaa, found toy-bbbbbbbb"):  # noqa: PT012
        while joining.deadline < CONFIG.give_up_s / 10:
            joining.expire(joining.deadline)


def test_who_gives_up_says_which_run_it_is_in_and_whom_it_heard_of_another():
    joining = joins("a", ("b", "c"), JoiningConfig(give_up_s=1.0), identity=OURS)
    joining.start(0.0)
    with pytest.raises(PeerLost, match=r"is its slice of the same run, toy-aaaaaaaa\?$"):
        joining.expire(1.0)
    joining.hear("b", Hello(0, wants_reply=True, identity=OTHER["version"]))
    with pytest.raises(WrongRun, match=r"expected Foretell 0\.1\.0, found 0\.2\.0\. Install one version for all$"):
        joining.expire(1.0)


def test_who_computes_otherwise_is_refused_by_name_with_both_versions_of_the_arithmetic():
    joining = joins("a", ("b",), JoiningConfig(give_up_s=1.0), identity=OURS)
    joining.start(0.0)
    joining.hear("b", Hello(0, wants_reply=True, identity=OTHER["arithmetic"]))
    said = r"^a cannot work with b: expected arithmetic 1, found 2\. Install one version for all$"
    with pytest.raises(WrongRun, match=said):
        joining.expire(1.0)


def test_who_is_of_another_run_is_told_of_once_and_counted_each_time():
    joining = joins("a", ("b", "c"), CONFIG, identity=OURS)
    joining.start(0.0)
    said = [joining.hear("b", Hello(0, wants_reply=False, identity=OTHER["run"])) for _ in range(5)]
    (report,) = said[0]
    assert report.record.text.startswith("a cannot work with b: expected run toy-aaaaaaaa, found toy-bbbbbbbb")
    assert said[1:] == [[]] * 4
    said += [joining.hear("c", Hello(0, wants_reply=False, identity=Identity(str(turn)))) for turn in range(100)]
    assert sum(map(len, said)) < 30, "who says something else each time fills no disk"
    assert {(each.source, each.destination, each.rejected) for each in joining.totals()} == {
        ("b", "a", 5),
        ("c", "a", 100),
    }
