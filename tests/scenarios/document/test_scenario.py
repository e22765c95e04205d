"""The document: what is refused and where, what `--set` reaches, and that a printed scenario is the same scenario."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from importlib.util import find_spec
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import pytest
import tomli_w
from pydantic import BaseModel

from agent_node.config import AgentConfig
from broker.errors import ScenarioError, UserError
from env_service.config import ServiceConfig
from scenarios.document.loading import catalogue_names, load_scenario, parse_scenario, parse_settings
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.running.fleet import Fleet
from scenarios.running.housing import Housing

BASE = """
name = "base"
seed = 3
episodes = 10
[environment]
kind = "exchange"
[topology]
kind = "complete"
"""
DROP = {"kind": "drop", "probability": 0.25}
UNIFORM = {"distribution": "uniform", "low_s": 0.5, "high_s": 1.5}
DELAY = {"kind": "delay", "delay_s": UNIFORM}
ENVIRONMENTS = [
    {"kind": "exchange"},
    {"kind": "navigation"},
    {"kind": "predation"},
    {"kind": "simple-spread", "agents": 4, "local_ratio": 0.25},
    {"kind": "vmas", "env": "balance", "options": {"n_agents": 4}},
    {"kind": "pettingzoo", "env": "mpe2.simple_spread_v3", "options": {"N": 4, "deep": {"list": [1, "two", 3.5]}}},
]
TOPOLOGIES = [
    {"kind": "complete"},
    {"kind": "ring"},
    {"kind": "star"},
    {"kind": "line"},
    {"kind": "grid", "rows": 2, "columns": 3},
    {"kind": "k-regular", "degree": 2},
    {"kind": "small-world", "neighbors": 2, "rewire_probability": 0.1},
    {"kind": "erdos-renyi", "edge_probability": 0.5},
    {"kind": "edges", "edges": [["agent-0", "agent-1"]]},
    {"kind": "proximity", "distance": 1.5},
]
DELAYS = [UNIFORM, {"distribution": "constant", "value_s": 0.5}, {"distribution": "exponential", "mean_s": 0.5}]
TABLES = {"initial_policy": {"path": "a-run"}, "evaluation": {"every": 5}}
FAULTS = [DROP, *({"kind": "delay", "delay_s": delay} for delay in DELAYS)]


def document(**parts):
    return tomllib.loads(BASE) | parts


DOCUMENTS = {
    **{f"environment {part['kind']}": document(environment=part) for part in ENVIRONMENTS},
    **{f"topology {part['kind']}": document(topology=part) for part in TOPOLOGIES},
    **{f"faults {number}": document(faults=[part], **TABLES) for number, part in enumerate(FAULTS)},
}


def parse(document, settings=()):
    return parse_scenario(tomli_w.dumps(document), dict(settings))


def refused(document, settings=()):
    """The error of a document that is refused; always one sentence of one line that begins with the path."""
    with pytest.raises(ScenarioError) as caught:
        parse(document, settings)
    error = caught.value
    assert str(error) == f"{error.path}: {error.problem}"
    assert "\n" not in str(error)
    assert "pydantic" not in str(error)
    assert "Input should" not in str(error)
    return error


def found(value):
    return f", found {value!r}"


# Every setting there is, from the models themselves


def pieces(annotation):
    """The models an annotation may hold."""
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple):
        return [model for part in get_args(annotation) for model in pieces(part)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def is_tag(field):
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def settings_in(model, document, dotted=""):
    """(path with dots and [i], path for --set, field) of every setting of the document, and of every table."""
    for name, field in model.model_fields.items():
        shown = f"{dotted}.{name}" if dotted else name
        inside = document.get(name, {}) if isinstance(document, dict) else {}
        models = pieces(field.annotation)
        if not is_tag(field):
            yield shown, field
        if isinstance(inside, list) and models:
            for position, item in enumerate(inside):
                yield from settings_in(chosen(models, item), item, f"{shown}[{position}]")
        elif models and name != "faults":
            yield from settings_in(chosen(models, inside), inside, shown)


def chosen(models, document):
    tags = {value for value in document.values() if isinstance(value, str)}
    fits = [
        model
        for model in models
        if any(is_tag(field) and get_args(field.annotation)[0] in tags for field in model.model_fields.values())
    ]
    return fits[0] if fits else models[0]


def as_setting(shown):
    return shown.replace("[", ".").replace("]", "")


EVERY_SETTING = {
    f"{name}: {shown}": (document, shown, field)
    for name, document in DOCUMENTS.items()
    for shown, field in settings_in(Scenario, document)
    if name == "faults 0" or shown.startswith(name.split()[0])
}
every_setting = pytest.mark.parametrize(("document", "shown", "field"), EVERY_SETTING.values(), ids=EVERY_SETTING)


def bounds(field):
    """Values outside the range of a field."""
    for rule in field.metadata:
        for name, step in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0)):
            if (bound := getattr(rule, name, None)) is not None:
                yield bound + step * max(1, abs(bound))  # one more is no other number if the bound is large


def test_the_walk_found_the_settings_of_every_level():
    paths = {shown for _, shown, _ in EVERY_SETTING.values()}
    assert len(paths) > 70
    assert paths >= {
        "seed",
        "environment.grid",
        "topology.degree",
        "learning.hidden",
        "algorithm.anticipation_sharing.rho",
        "transport.zeromq.base_port",
        "faults[0].probability",
        "faults[0].delay_s.low_s",
        "faults[0].delay_s.mean_s",
    }


@every_setting
def test_a_value_of_a_wrong_type_is_refused_at_its_own_path(document, shown, field):
    date = dt.date(2020, 1, 1)
    error = refused(document, {as_setting(shown): date})
    assert error.path == shown
    assert error.problem.startswith("expected ")
    assert error.problem.endswith(", found a date")


@every_setting
def test_lists_in_lists_are_refused_at_their_own_path(document, shown, field):
    error = refused(document, {as_setting(shown): [[[]]]})
    assert error.path.startswith(shown)
    assert error.problem.startswith("expected ")


@pytest.mark.parametrize(
    ("document", "shown", "value"),
    [(document, shown, value) for document, shown, field in EVERY_SETTING.values() for value in bounds(field)],
    ids=[f"{name}={value}" for name, (_, _, field) in EVERY_SETTING.items() for value in bounds(field)],
)
def test_a_value_out_of_range_is_refused_at_its_own_path(document, shown, value):
    error = refused(document, {as_setting(shown): value})
    assert error.path == shown
    assert error.problem.startswith(("expected greater than ", "expected less than ", "expected a multiple of "))
    assert error.problem.endswith(found(value))


@pytest.mark.parametrize(
    ("document", "table"),
    [
        *((DOCUMENTS["faults 0"], table) for table in ("", "exchange", "algorithm", "algorithm.anticipation_sharing")),
        *((DOCUMENTS["faults 0"], table) for table in ("learning", "service", "joining", "transport")),
        *((DOCUMENTS["faults 0"], table) for table in TABLES),
        (DOCUMENTS["faults 0"], "transport.zeromq"),
        *((DOCUMENTS[f"environment {part['kind']}"], "environment") for part in ENVIRONMENTS),
        *((DOCUMENTS[f"topology {part['kind']}"], "topology") for part in TOPOLOGIES),
        *((DOCUMENTS[f"faults {number}"], "faults[0]") for number in range(4)),
        *((DOCUMENTS[f"faults {number}"], "faults[0].delay_s") for number in range(1, 4)),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_at_every_level(document, table):
    shown = f"{table}.wat" if table else "wat"
    error = refused(document, {as_setting(shown): 1})
    assert error.path == shown
    assert error.problem == "there is no such setting. `foretell check` prints all settings of a scenario"


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        *((document(), name) for name in ("name", "seed", "episodes", "environment", "topology")),
        *((document(topology={"kind": kind}), path) for kind, path in [("k-regular", "topology.degree")]),
        (document(topology={"kind": "proximity"}), "topology.distance"),
        (document(environment={"kind": "pettingzoo"}), "environment.env"),
        (document(faults=[DROP, {"kind": "drop"}]), "faults[1].probability"),
        (document(faults=[{"kind": "delay", "delay_s": {"distribution": "constant"}}]), "faults[0].delay_s.value_s"),
        (document(faults=[{"kind": "delay"}]), "faults[0].delay_s"),
    ],
)
def test_what_has_no_default_must_be_there(document, shown):
    document = {name: part for name, part in document.items() if name != shown}
    error = refused(document)
    assert (error.path, error.problem) == (shown, "is required")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seed": "many"}, "seed: expected a valid integer, "),
        ({"environment.grid": "large"}, "environment.grid: expected a valid integer, "),
        ({"learning.hidden": [64, "wide"]}, "learning.hidden[1]: expected a valid integer, "),
        ({"learning.hidden": [64, 0]}, "learning.hidden[1]: expected greater than or equal to 1, found 0"),
        ({"learning.hidden": [-8, 8]}, "learning.hidden[0]: expected greater than or equal to 1, found -8"),
        ({"learning.gamma": float("nan")}, "learning.gamma: expected a finite number, found nan"),
        (
            {"environment": {"kind": "pettingzoo", "env": "x", "options": {"limits": [1.0, float("inf")]}}},
            "environment.options.limits[1]: expected a finite number, found inf",
        ),
        (
            {"service.missing_action": "never"},
            "service.missing_action: expected 'wait', 'noop' or 'repeat', found 'never'",
        ),
        (
            {"faults": [DELAY | {"delay_s": UNIFORM | {"high_s": 0.1}}]},
            "faults[0].delay_s: low_s must not exceed high_s, found 0.5 and 0.1",
        ),
        (
            {"environment.agents": 13},
            "environment: 13 agents and their boxes need 26 distinct cells, a grid of 5 has 25",
        ),
        ({"faults": [DROP | {"messages": ["gossip"]}]}, "faults[0].messages[0]: expected 'timestep', 'action' or"),
        ({"topology": {"kind": "edges", "edges": [["agent-0"]]}}, "topology.edges[0][1]: is required"),
        ({"transport.zeromq.addresses.agent-0": 3}, "transport.zeromq.addresses.agent-0: expected text, "),
    ],
)
def test_errors_are_sentences(settings, said):
    assert str(refused(document(), settings)).startswith(said)


def test_of_several_errors_the_first_is_told_and_the_others_named():
    assert str(refused(document(episodes=0, parallel_episodes=0))).endswith("found 0 (and 1 more: parallel_episodes)")


@pytest.mark.parametrize(
    ("part", "known"),
    [
        ("environment", "'exchange', 'navigation', 'predation', 'simple-spread', 'pettingzoo', 'vmas'"),
        ("topology", "'complete', 'ring', 'star'"),
    ],
)
def test_an_unknown_kind_is_refused_with_the_known_ones(part, known):
    error = refused(document(**{part: {"kind": "chess"}}))
    assert error.path.split(".")[0] == part
    assert error.problem.startswith(f"expected one of {known}")
    assert error.problem.endswith("found 'chess'")


def test_an_unknown_kind_inside_a_list_names_its_place():
    error = refused(document(faults=[DROP, {"kind": "burn"}]))
    assert error.path.startswith("faults[1]")
    assert error.problem.startswith("expected one of 'drop', 'gilbert-elliott', 'delay', ")
    assert error.problem.endswith(", found 'burn'")
    error = refused(document(faults=[{"kind": "delay", "delay_s": {"distribution": "gamma"}}]))
    assert error.path.startswith("faults[0].delay_s")
    assert error.problem.startswith("expected one of 'constant', 'uniform', 'normal', ")
    assert error.problem.endswith(", found 'gamma'")


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        (document(environment={"kind": "chess"}), "environment.kind"),
        (document(topology={"kind": "moebius"}), "topology.kind"),
        (document(faults=[{"kind": "burn"}]), "faults[0].kind"),
        (document(faults=[{"kind": "delay", "delay_s": {"distribution": "x"}}]), "faults[0].delay_s.distribution"),
    ],
)
def test_an_unknown_kind_is_refused_at_the_path_of_the_kind(document, shown):
    assert refused(document).path == shown


@pytest.mark.parametrize("part", [{"environment": {"grid": 4}}, {"topology": {}}, {"faults": [{"probability": 0.5}]}])
def test_a_kind_that_is_not_given_is_asked_for(part):
    error = refused(document(**part))
    assert "a known one" not in error.problem
    assert "'none'" not in error.problem


@pytest.mark.parametrize(
    ("settings", "jargon"),
    [
        ({"learning.hidden": []}, "expected tuple should have"),
        ({"name": "a/b"}, "expected string should match"),
        ({"faults": 3}, "tuple"),
        ({"learning": 3}, "instance of"),
        ({"environment": 3}, "object to extract fields from"),
    ],
)
def test_errors_use_the_words_of_the_document(settings, jargon):
    assert jargon not in str(refused(document(), settings))


@pytest.mark.parametrize("shown", ["seed", "episodes", "learning.rounds", "learning.gamma"])
def test_true_is_not_a_number(shown):
    assert refused(document(), {shown: True}).path == shown


@pytest.mark.parametrize(
    "name", ["../evil", "a/b", "/tmp/x", "", ".hidden", "a b", "Upper", "x" * 65, "tab\t", "line\n", "-dash", "a\\b"]
)
def test_a_name_that_could_be_a_path_is_refused(name):
    assert refused(document(name=name)).path == "name"


@pytest.mark.parametrize("name", ["a", "exchange-quick", "fig1.exchange-3", "x" * 64, "0"])
def test_a_plain_name_is_taken(name):
    assert parse(document(name=name)).name == name


# Files


def test_a_scenario_is_read_from_a_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(BASE)
    assert load_scenario(str(file)) == parse(document())


def test_bad_toml_is_one_sentence_with_the_line(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text('name = "x"\nseed = = 3\n')
    with pytest.raises(UserError, match=rf"^{re.escape(str(file))} is not valid TOML: .*line 2") as caught:
        load_scenario(str(file))
    assert "\n" not in str(caught.value)


def test_a_name_nobody_knows_points_to_the_catalogue():
    with pytest.raises(UserError, match=r"no scenario and no file is called 'nope'\. `foretell list` shows"):
        load_scenario("nope")


@pytest.mark.parametrize("kind", ["folder", "bytes"])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, kind):
    place = tmp_path / "scenario.toml"
    if kind == "folder":
        place.mkdir()
    else:
        place.write_bytes(b'name = "\xff\xfe"')
    with pytest.raises(UserError, match=f"^cannot read {place}: "):
        load_scenario(str(place))


# --set


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("true", True),
        ("[64, 32]", [64, 32]),
        ('"quoted"', "quoted"),
        ("plain", "plain"),
        ("k-regular", "k-regular"),
        ("tcp://10.0.0.7:5670", "tcp://10.0.0.7:5670"),
        ("a=b", "a=b"),
        ("", ""),
        ('{kind = "drop", probability = 0.5}', {"kind": "drop", "probability": 0.5}),
    ],
)
def test_values_are_toml_or_else_plain_text(text, value):
    found = parse_settings([f"some.where={text}"])
    assert found == {"some.where": value}
    assert type(found["some.where"]) is type(value)


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("faults", "[{kind=drop}]", "list"),
        ("learning.hidden", "[64,,32]", "list"),
        ("service", "{missing_action=noop}", "table"),
        ("faults", "[", "list"),
    ],
)
def test_what_begins_like_a_list_or_a_table_and_is_none_is_refused_with_what_may_be_missing(path, value, what):
    with pytest.raises(ScenarioError) as caught:
        load_scenario("exchange-quick", parse_settings([f"{path}={value}"]))
    assert str(caught.value).startswith(f"{path}: expected a {what}, found {value!r}: in it text stands in quotation ")


def test_text_that_begins_like_a_list_is_text_where_text_is_expected():
    assert load_scenario("exchange-quick", parse_settings(["transport.zeromq.host=[::1]"])).transport.zeromq.host


def test_spaces_around_the_equals_sign_do_not_matter():
    assert parse_settings(["learning.rounds = 5", " seed=4 "]) == {"learning.rounds": 5, "seed": 4}


@pytest.mark.parametrize("assignment", ["learning.rounds", "", "=5", " =5"])
def test_an_assignment_without_path_or_equals_sign_is_refused(assignment):
    with pytest.raises(UserError, match=r"^--set expects path=value \(such as learning.rounds=5\), found "):
        parse_settings([assignment])


def test_a_setting_replaces_what_the_document_says():
    assert parse(document(), {"episodes": 4, "environment.grid": 7}).episodes == 4


def test_a_setting_makes_the_tables_on_its_way():
    scenario = parse(document(), {"algorithm.anticipation_sharing.rho": 3.5, "exchange.skip_probability": 0.5})
    assert scenario.algorithm.anticipation_sharing.rho == 3.5
    assert scenario.exchange.skip_probability == 0.5


def test_a_setting_reaches_into_a_list():
    scenario = parse(document(faults=[DELAY, DROP]), {"faults.1.probability": 0.75, "faults.0.delay_s.low_s": 1.0})
    assert scenario.faults[1].probability == 0.75
    assert scenario.faults[0].delay_s.low_s == 1.0


def test_a_wrong_setting_in_a_list_is_refused_at_its_path():
    assert refused(document(faults=[DELAY, DROP]), {"faults.1.probability": 7}).path == "faults[1].probability"


@pytest.mark.parametrize(
    ("path", "holder"),
    [("seed.deep", "seed"), ("faults.2.probability", "faults"), ("faults.first.name", "faults"), ("name.a.b", "name")],
)
def test_a_setting_inside_something_that_holds_nothing_is_refused(path, holder):
    error = refused(document(faults=[DELAY, DROP]), {path: 1})
    assert error.path == path
    assert error.problem.startswith(f"{holder} is not a table that could hold ")


# Round trip


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_the_resolved_document_is_the_same_scenario(document):
    scenario = parse(document)
    text = scenario.to_toml()
    assert parse_scenario(text, {}) == scenario
    assert parse_scenario(text, {}).to_toml() == text


def test_the_resolved_document_keeps_every_changed_setting():
    changes = {
        "description": 'with "quotes", \\ and\nlines \u00e9',
        "seed": (1 << 63) - 1,
        "parallel_episodes": 7,
        "environment.open_cost": 0.1 + 0.2,
        "exchange.mode": "random-partner",
        "exchange.skip_scope": "edge",
        "algorithm.name": "independent",
        "learning.hidden": [3],
        "learning.adam_epsilon": 1e-300,
        "learning.bootstrap_at_time_limit": True,
        "service.missing_action": "repeat",
        "transport.zeromq.addresses": {"agent-0": "tcp://10.0.0.7:5670"},
        "transport.journal": True,
        "faults": [DELAY | {"name": "lag", "source": "agent-*", "messages": ["share", "action"]}, DROP],
    }
    scenario = parse(document(), changes)
    assert parse_scenario(scenario.to_toml(), {}) == scenario
    spelled_out = tomllib.loads(scenario.to_toml())
    for path, value in changes.items():
        holder = spelled_out
        for key in path.split("."):
            holder = holder[key]
        if path != "faults":
            assert holder == value


def test_the_resolved_document_spells_every_setting_out():
    spelled_out = tomllib.loads(parse(document()).to_toml())
    assert spelled_out["learning"]["gamma"] == 0.99
    assert spelled_out["transport"]["zeromq"]["keepalive_timeout_s"] == 30


def test_the_ratio_cap_can_be_switched_off_in_a_document():
    scenario = parse(document(algorithm={"anticipation_sharing": {"log_ratio_cap": 0}}))
    assert scenario.algorithm.anticipation_sharing.log_ratio_cap == 0
    assert parse_scenario(scenario.to_toml(), {}) == scenario


def test_the_weight_of_the_own_penalty_is_that_of_the_other_unless_a_document_says_it():
    for sharing, rho_prime in (({"rho": 3.0}, 3.0), ({"rho": 3.0, "rho_own": 0.0}, 0.0), ({"rho_own": 7.0}, 7.0)):
        scenario = parse(document(algorithm={"anticipation_sharing": sharing}))
        assert scenario.algorithm.anticipation_sharing.rho_prime == rho_prime
        assert parse_scenario(scenario.to_toml(), {}) == scenario


def test_a_weight_that_is_measured_cannot_be_set_too():
    error = refused(document(algorithm={"anticipation_sharing": {"weights": "calibrated", "rho_own": 2.0}}))
    assert error.path == "algorithm.anticipation_sharing"
    assert error.problem.startswith("expected no rho_own: with calibrated weights rho' is measured.")


# Catalogue


@pytest.mark.parametrize("name", catalogue_names())
def test_a_scenario_of_the_catalogue_can_run(name):
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description.strip()
    assert "\n" not in scenario.description
    assert parse_scenario(scenario.to_toml(), {}) == scenario
    kind, module = scenario.environment.kind, getattr(scenario.environment, "env", "").partition(".")[0]
    module = "vmas" if kind == "vmas" else module
    if module and find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    assert make_plan(scenario).agents


def test_the_catalogue_is_in_order_and_not_empty():
    names = catalogue_names()
    assert names == sorted(names)
    assert "exchange-quick" in names


@pytest.mark.parametrize("typed", ["5", '"5"', "'5'"])
def test_mqtt_s_version_may_be_typed_as_a_number_or_as_text(typed) -> None:
    scenario = parse_scenario(BASE, parse_settings([f"transport.mqtt.protocol={typed}"]))
    assert scenario.transport.mqtt.protocol == "5"
    assert parse_scenario(BASE, parse_settings(["transport.mqtt.protocol=3.1.1"])).transport.mqtt.protocol == "3.1.1"


def test_a_whole_number_is_taken_as_text_wherever_text_is_expected() -> None:
    text = BASE.replace('name = "base"', "name = 2026\n[[faults]]\nkind = 'drop'\nprobability = 0.5\nname = 7")
    text = text.replace("seed = 3\nepisodes = 10\n", "")
    scenario = parse_scenario(text, parse_settings(["description=12", "seed=3", "episodes=10"]))
    assert (scenario.name, scenario.description, scenario.faults[0].name) == ("2026", "12", "7")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("transport.mqtt.protocol=4", r"transport\.mqtt\.protocol: expected .*'3\.1\.1', found 4"),
        ("transport.mqtt.protocol=5.0", r"transport\.mqtt\.protocol: expected .*'3\.1\.1', found 5\.0"),
        ("transport.mqtt.protocol=true", r"transport\.mqtt\.protocol: expected .*'3\.1\.1', found True"),
        ("transport.mqtt.qos=5", r"transport\.mqtt\.qos: expected 0 or 1, found 5"),
        ("description=1.5", r"description: expected text, found 1\.5"),
    ],
)
def test_what_is_no_whole_number_or_no_choice_is_told_as_it_was_typed(setting, sentence) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        parse_scenario(BASE, parse_settings([setting]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("description", "another word for it"),
        ("transport.zeromq.scheme", "tcp"),
        ("transport.zeromq.host", "10.0.0.7"),
        ("transport.zeromq.base_port", 6000),
        ("transport.zeromq.addresses", {"agent-0": "tcp://10.0.0.7:5670"}),
        ("transport.zeromq.forwarder", "tcp://10.0.0.7:5670"),
        ("transport.mqtt.address", "mqtt://10.0.0.7:1883"),
        ("transport.mqtt.broker", "amqtt"),
        ("transport.mqtt", {"address": "mqtt://10.0.0.7:1883", "username": "me", "password_variable": "SECRET"}),
        ("transport.security.mode", "on"),
        ("transport.security.keys", "/of/this/host"),
        ("transport.scheduling", "normal"),
        ("transport.journal", True),
    ],
)
def test_what_is_each_hosts_own_matter_keeps_no_participants_apart(path, value):
    plain = load_scenario("exchange-quick")
    assert load_scenario("exchange-quick", {path: value}).shared_digest == plain.shared_digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "another"),
        ("seed", 7),
        ("episodes", 7),
        ("parallel_episodes", 7),
        ("environment.steps", 7),
        ("topology.kind", "line"),
        ("exchange.patience_s", 7),
        ("algorithm.name", "independent"),
        ("learning.rounds", 7),
        ("service.give_up_s", 7),
        ("joining.give_up_s", 7),
        ("recovery.on_crash", "fail"),
        ("transport.kind", "mqtt"),
        ("transport.queue_messages", 7),
        ("transport.mqtt.qos", 1),
        ("transport.zeromq.mode", "forwarder"),
        ("faults", [{"kind": "drop", "probability": 0.5}]),
    ],
)
def test_all_else_must_be_the_same_for_all_participants(path, value):
    plain = load_scenario("exchange-quick")
    assert load_scenario("exchange-quick", {path: value}).shared_digest != plain.shared_digest


def patterns_in(schema):
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    found = [schema["pattern"]] if isinstance(schema, dict) and isinstance(schema.get("pattern"), str) else []
    return found + [pattern for part in parts for pattern in patterns_in(part)]


@pytest.mark.parametrize("document", [Scenario, AgentConfig, ServiceConfig, Fleet, Housing])
def test_every_pattern_of_a_document_speaks_of_the_whole_text(document):
    found = patterns_in(document.model_json_schema())
    assert found
    assert [pattern for pattern in found if not re.fullmatch(r"\^.*\$", pattern)] == []
