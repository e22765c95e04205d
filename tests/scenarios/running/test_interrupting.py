"""Whoever asks for the end of a run is heard once, and cuts nothing off."""

from __future__ import annotations

import signal

import pytest

from scenarios.running.control.interrupting import interruptible

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def test_the_end_of_a_terminal_that_is_told_again_afterwards_cuts_nothing_off() -> None:
    cut_off: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: cut_off.append(number))
    with interruptible() as interrupted:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert interrupted()
    signal.raise_signal(signal.SIGHUP)
    assert cut_off == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asking_twice_ends_at_once(number: signal.Signals) -> None:
    with interruptible() as interrupted:
        signal.raise_signal(number)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_who_was_not_asked_leaves_all_handlers_as_they_were() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with interruptible() as interrupted:
        assert not interrupted()
    assert [signal.getsignal(number) for number in NUMBERS] == before
