"""Phases as data: the ways between them, and the table that the documents show."""

from __future__ import annotations

from enum import Enum

import pytest

from broker.participants.phases import PhaseTable, Transition


class Door(Enum):
    OPEN = "OPEN"
    SHUT = "SHUT"
    WALLED = "WALLED"


DOOR: PhaseTable[Door] = PhaseTable(
    waits_for={Door.OPEN: "a push", Door.SHUT: "a hand", Door.WALLED: "nothing"},
    transitions=(
        Transition(Door.SHUT, "it is opened", Door.OPEN),
        Transition(Door.OPEN, "it is pushed", Door.SHUT),
        Transition(Door.OPEN, "it is pushed again", Door.OPEN),
        Transition(Door.SHUT, "a mason comes", Door.WALLED),
    ),
)
WAYS = {(way.source, way.target) for way in DOOR.transitions}


@pytest.mark.parametrize(("source", "target"), sorted(WAYS, key=str))
def test_a_way_of_the_table_leads_to_its_target(source: Door, target: Door) -> None:
    assert DOOR.enter(source, target) is target


@pytest.mark.parametrize(
    ("source", "target"), [(source, target) for source in Door for target in Door if (source, target) not in WAYS]
)
def test_a_way_that_is_not_in_the_table_is_refused_with_both_its_ends(source: Door, target: Door) -> None:
    with pytest.raises(ValueError, match=f"no transition leads from {source.value} to {target.value}"):
        DOOR.enter(source, target)


def test_the_table_has_a_row_for_each_way_and_one_for_each_phase_that_is_never_left() -> None:
    assert DOOR.markdown() == (
        "| phase | waits for | goes on when | to |\n"
        "| --- | --- | --- | --- |\n"
        "| OPEN | a push | it is pushed | SHUT |\n"
        "|  |  | it is pushed again | OPEN |\n"
        "| SHUT | a hand | it is opened | OPEN |\n"
        "|  |  | a mason comes | WALLED |\n"
        "| WALLED | nothing |  |  |"
    )
