"""What is said of a document that does not fit: all that is wrong is named, and what is nearly right is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from agent_node.config import AgentConfig
from broker.errors import ScenarioError, UserError
from env_service.config import ServiceConfig
from scenarios.document.loading import load_scenario, parse_scenario
from scenarios.document.planning import make_plan
from scenarios.document.scenario import ANY_FAULT, AnyFaultConfig, Scenario
from scenarios.document.text.explained import explained
from scenarios.running.fleet import Fleet

PLAIN = 'name = "plain"\nseed = 1\nepisodes = 2\nenvironment.kind = "exchange"\ntopology.kind = "complete"\n'


def said(**settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        make_plan(parse_scenario(PLAIN, {path.replace("__", "."): value for path, value in settings.items()}))
    return str(caught.value)


def of_fault(**values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        ANY_FAULT.validate_json(json.dumps(values), strict=True)
    return str(explained(caught.value, AnyFaultConfig))


@pytest.mark.parametrize(
    ("settings", "meant"),
    [
        ({"learning__gama": 0.9}, "learning.gamma"),
        ({"episods": 3}, "episodes"),
        ({"faults": [{"kind": "drop", "probability": 0.1, "massages": ["share"]}]}, "faults[0].messages"),
        ({"environment__gird": 4}, "environment.grid"),
        ({"algorithm__rho": 1}, "algorithm.anticipation_sharing.rho"),
        ({"rho": 1}, "algorithm.anticipation_sharing.rho"),
        ({"gamma": 1}, "learning.gamma"),
        ({"algorithm__weight": 1}, "algorithm.value_sharing.weight or algorithm.reward_sharing.weight"),
    ],
    ids=str,
)
def test_a_setting_that_is_nearly_one_or_stands_elsewhere_is_answered_with_what_is_meant(
    settings: dict[str, Any], meant: str
) -> None:
    assert said(**settings).endswith(f": there is no such setting. Did you mean {meant}?")


@pytest.mark.parametrize(("found", "meant"), [("Value_Sharing", "value-sharing"), ("policy-sharin", "policy-sharing")])
def test_an_algorithm_that_is_nearly_one_is_answered_with_that(found: str, meant: str) -> None:
    assert said(algorithm__name=found).endswith(f"value-sharing, found {found!r}. Did you mean {meant}?")


def test_a_kind_that_is_nearly_one_is_answered_with_that() -> None:
    assert said(faults=[{"kind": "bit_flip"}]).endswith("found 'bit_flip'. Did you mean 'bit-flip'?")
    assert said(topology__kind="chess").endswith("found 'chess'")


def test_a_scenario_that_is_nearly_one_of_the_catalogue_is_answered_with_that() -> None:
    with pytest.raises(UserError) as caught:
        load_scenario("exchange-quikc")
    assert str(caught.value) == (
        "no scenario and no file is called 'exchange-quikc'. Did you mean exchange-quick? "
        "`foretell list` shows the catalogue."
    )


def test_all_that_is_missing_is_named_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('description = "mine"\n')
    with pytest.raises(ScenarioError) as caught:
        load_scenario(str(file), {"learning.rounds": 3})
    assert str(caught.value) == f"{file}: name: is required (and 4 more: seed, episodes, environment, topology)"
    assert caught.value.path == "name"


def test_of_very_many_mistakes_some_are_named_and_the_others_counted() -> None:
    sentence = said(faults=[{"kind": "drop"}] * 12)
    assert sentence.startswith("faults[0].probability: is required (and 11 more: faults[1].probability, ")
    assert sentence.endswith("faults[8].probability and 3 more)")


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (PLAIN, {"learning.gama": 1}),
        (PLAIN, {"learning": {"gama": 1}}),
        (f"{PLAIN}[[faults]]\nkind = 'drop'\nprobability = 0.1\n", {"faults.0.probability": 2}),
    ],
)
def test_the_file_is_not_named_for_what_stands_in_the_command(
    tmp_path: Path, text: str, settings: dict[str, Any]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(str(file), settings)
    assert str(caught.value).startswith(("learning.gama: ", "faults[0].probability: "))


@pytest.mark.parametrize(
    ("settings", "example"),
    [
        ({"topology": "ring"}, "topology: expected a table, such as { kind = \"ring\" }, found 'ring'"),
        (
            {"faults": [{"kind": "delay", "delay_s": 0.1}]},
            'faults[0].delay_s: expected a table, such as { distribution = "constant", value_s = 0.1 }, found 0.1',
        ),
        (
            {"faults": ["drop"]},
            """faults[0]: expected a table, such as { kind = "drop", probability = ... }, found 'drop'""",
        ),
        ({"learning": 3}, "learning: expected a table, found 3"),
    ],
    ids=str,
)
def test_a_plain_value_in_place_of_a_table_is_answered_with_a_table(settings: dict[str, Any], example: str) -> None:
    assert said(**settings) == example


def test_a_fault_by_itself_is_told_of_without_its_kind() -> None:
    assert of_fault(kind="drop", probabilty=1, probability=0.1).startswith("probabilty: there is no such setting.")
    assert of_fault(kind="delay", delay_s={"distribution": "constant"}) == "delay_s.value_s: is required"
    assert of_fault() == "kind: is required"


def test_the_folder_of_a_run_is_answered_with_what_plays_it_again_and_what_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "scenario.toml").write_text(PLAIN)
    with pytest.raises(UserError) as caught:
        load_scenario(str(run))
    assert str(caught.value) == (
        f"cannot read {run}: expected a file, found a folder. "
        f"{run}/scenario.toml plays its run again, `foretell resume {run}` goes on with it"
    )


# Patterns


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"name": "A"},
            "name: expected small letters, digits, dots and hyphens, a letter or digit first, at most 64, found 'A'",
        ),
        (
            {"environment": {"kind": "pettingzoo", "env": "my-env.py"}},
            "environment.env: expected the import name of a module, such as mpe2.simple_spread_v3, found 'my-env.py'",
        ),
    ],
    ids=str,
)
def test_text_that_does_not_fit_is_answered_in_words(settings: dict[str, Any], words: str) -> None:
    assert said(**settings) == words


@pytest.mark.parametrize("document", [Scenario, AgentConfig, ServiceConfig, Fleet])
def test_every_pattern_of_a_document_has_words_for_people(document: type[BaseModel]) -> None:
    schema = document.model_json_schema()
    fields = [field for table in (schema, *schema["$defs"].values()) for field in table.get("properties", {}).items()]
    with_pattern = {name: "text" in field for name, field in fields if '"pattern"' in json.dumps(field)}
    assert with_pattern
    assert [name for name, has_words in with_pattern.items() if not has_words] == []
