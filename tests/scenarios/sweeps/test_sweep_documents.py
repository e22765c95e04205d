"""What a sweep's document asks for: which runs, under which names, and what it is refused for."""

from __future__ import annotations

import re
import tomllib
from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sweep_cases import ONE, documents, made

from broker.errors import ScenarioError, UserError
from scenarios.document.loading import CATALOGUE, load_scenario
from scenarios.document.text.inline_toml import inline, shown
from scenarios.document.text.short_names import short_names
from scenarios.document.text.toml_text import parse_toml
from scenarios.running.batch.runner import document
from scenarios.studies.study import ALONE, AS, VS
from scenarios.sweeps.document import SweepDocument, SweptScenario, SweptVariant
from scenarios.sweeps.labels import keys_of
from scenarios.sweeps.reading import check, read_sweep

ROOT = Path(__file__).parent.parent.parent.parent
RHO = "algorithm.anticipation_sharing.rho"


# Runs


def test_every_scenario_runs_in_every_variant_and_combination_by_every_algorithm_with_every_seed():
    sweep = made(
        'scenarios = ["exchange-quick", "navigation-quick"]\nalgorithms = ["anticipation-sharing", "independent"]\n'
        'seeds = [7, 3]\n[settings]\nepisodes = 9\n[[variants]]\nlabel = "few"\nlearning.rounds = 1\n'
        '[[variants]]\nlabel = "many"\nlearning.rounds = 5\n[grid]\nlearning.clip = [0.1, 0.3]\n'
        '"learning.gamma" = [0.5, 0.9]\n'
    )
    asked = product(
        (7, 3), ("exchange-quick", "navigation-quick"), (1, 5), (0.1, 0.3), (0.5, 0.9), ("anticipation-sharing", ALONE)
    )
    by_hand = [
        load_scenario(
            scenario,
            {
                "seed": seed,
                "episodes": 9,
                "learning.rounds": rounds,
                "learning.clip": clip,
                "learning.gamma": gamma,
                "algorithm.name": algorithm,
            },
        ).model_dump()
        for seed, scenario, rounds, clip, gamma, algorithm in asked
    ]
    assert documents(sweep) == by_hand
    assert len({cell.id for cell in sweep.cells}) == len(by_hand) == 64


def test_without_variants_and_algorithms_every_scenario_runs_as_it_is():
    sweep = made(f'scenarios = ["exchange-quick", "exchange"]\nseeds = [1]\n[settings]\n{RHO} = 3\n')
    assert [cell.id for cell in sweep.cells] == [
        "exchange-quick--anticipation-sharing--seed1",
        "exchange--anticipation-sharing--seed1",
    ]
    assert documents(sweep)[0] == load_scenario("exchange-quick", {RHO: 3}).model_dump()


def test_a_scenario_brings_its_own_algorithm_and_a_variant_may_bring_another(tmp_path):
    text = (CATALOGUE / "exchange-quick.toml").read_text(encoding="utf-8")
    (tmp_path / "theirs.toml").write_text(text.replace(AS, VS), encoding="utf-8")
    sweep = made(
        'scenarios = ["exchange-quick", "theirs.toml"]\nseeds = [1]\n[[variants]]\nlabel = "as it is"\n'
        '[[variants]]\nalgorithm = "independent"\nlearning.rounds = 1\n[[variants]]\nlearning.rounds = 2\n',
        str(tmp_path / "mine.toml"),
    )
    assert [(cell.group.task, cell.group.contender) for cell in sweep.cells] == [
        *(("exchange-quick", name) for name in (AS, ALONE, AS)),
        *(("theirs", name) for name in (VS, ALONE, VS)),
    ]
    assert list(sweep.labels.values())[:3] == ["as it is", "independent, rounds = 1", "rounds = 2"]


def test_what_is_set_for_all_runs_a_variant_may_set_otherwise():
    sweep = made(f"{ONE}[settings]\nlearning.rounds = 2\nlearning.clip = 0.1\n[[variants]]\nlearning.rounds = 4\n")
    [only] = documents(sweep)
    assert (only["learning"]["rounds"], only["learning"]["clip"]) == (4, 0.1)


def test_a_table_that_names_its_kind_takes_the_place_of_the_scenario_s_and_of_others_each_setting_is_set():
    ring = 'topology = { kind = "ring" }\nlearning = { rounds = 2 }\n'
    [plain, ringed] = documents(
        made(f'scenarios = ["navigation"]\nseeds = [1]\n[[variants]]\nlabel = "plain"\n[[variants]]\n{ring}')
    )
    assert plain["topology"]["distance"] == 1.5
    assert ringed["topology"] == {"kind": "ring"}
    assert ringed["learning"] == plain["learning"] | {"rounds": 2}


def test_quotation_marks_around_a_path_make_no_difference():
    quoted, bare = (made(f"{ONE}[[variants]]\n{path} = 3\n") for path in (f'"{RHO}"', RHO))
    assert quoted.cells == bare.cells


def test_files_lie_beside_the_document_wherever_one_stands(tmp_path, monkeypatch):
    folder = tmp_path / "far" / "away"
    folder.mkdir(parents=True)
    (folder / "task.toml").write_bytes((CATALOGUE / "exchange-quick.toml").read_bytes())
    (folder / "mine.toml").write_text('scenarios = ["task.toml"]\nseeds = [1]\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    sweep = read_sweep(Path("far/away/mine.toml"))
    assert documents(sweep) == [load_scenario("exchange-quick").model_dump()]
    assert sweep.told[0].arguments()[:2] == ("simulate", "task.toml")
    assert sweep.cells[0].id == "task--anticipation-sharing--seed1"


def test_the_command_that_is_told_of_a_run_makes_its_document():
    sweep = made(
        f'{ONE}[[variants]]\nfaults = [{{ kind = "drop", probability = 0.5, messages = ["share"] }}]\n'
        'description = "a \\"b\\" = c"\n'
    )
    [told] = sweep.told
    assert document(told) == document(sweep.cells[0])
    assert document(told).description == 'a "b" = c'


# Names


def test_a_line_is_called_by_its_variant_its_settings_and_where_several_run_it_its_algorithm():
    text = 'scenarios = ["exchange-quick"]\nseeds = [1]\nalgorithms = ["anticipation-sharing", "value-sharing"]\n'
    variants = (
        '[[variants]]\nlabel = "mine"\nlearning.clip = 0.1\n[[variants]]\nalgorithm = "independent"\n[[variants]]\n'
    )
    sweep = made(f'{text}{variants}[grid]\nlearning.hidden = [[8], [8, 8]]\ntopology.kind = ["ring"]\n')
    assert list(sweep.labels.values()) == [
        "mine, hidden = [8], kind = ring, anticipation-sharing",
        "mine, hidden = [8], kind = ring, value-sharing",
        "mine, hidden = [8, 8], kind = ring, anticipation-sharing",
        "mine, hidden = [8, 8], kind = ring, value-sharing",
        "independent, hidden = [8], kind = ring",
        "independent, hidden = [8, 8], kind = ring",
        "unchanged, hidden = [8], kind = ring, anticipation-sharing",
        "unchanged, hidden = [8], kind = ring, value-sharing",
        "unchanged, hidden = [8, 8], kind = ring, anticipation-sharing",
        "unchanged, hidden = [8, 8], kind = ring, value-sharing",
    ]


def test_a_setting_is_called_by_as_few_parts_as_tell_it_from_the_others():
    names = short_names(["learning.rounds", "a.b.rate", "a.c.rate", "seed", "x.seed"])
    assert names == {
        "learning.rounds": "rounds",
        "a.b.rate": "b.rate",
        "a.c.rate": "c.rate",
        "seed": "seed",
        "x.seed": "x.seed",
    }


def test_labels_that_differ_in_signs_alone_are_folders_that_differ_and_keep_their_names_beside_others():
    keys = keys_of(["Ψ' = 2 Ψ", "Ψ = 2", "rho = 3", "Ψ", "日本"])
    assert len(set(keys.values())) == 5
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*", key) for key in keys.values())
    assert keys["rho = 3"] == "rho-3"
    assert keys_of(["rho = 3", "new", "Ψ = 2", "2!"])["Ψ = 2"] == keys["Ψ = 2"]
    long = ["a" * 150, "a" * 151]
    assert all(len(key) <= 60 for key in keys_of(long).values())
    assert len(set(keys_of(long).values())) == 2


def test_runs_keep_their_names_when_scenarios_variants_and_seeds_are_added():
    variant, another = '[[variants]]\nlabel = "+1"\n', '[[variants]]\nlabel = "other"\nlearning.rounds = 1\n'
    few = made(f"{ONE}{variant}")
    more = made(f'scenarios = ["exchange", "exchange-quick"]\nseeds = [4, 1]\n{another}{variant}')
    assert {cell.id for cell in few.cells} < {cell.id for cell in more.cells}


values = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(values)
@example('a \x7f, a " and a \\ \n')
def test_a_value_on_one_line_is_that_value_and_its_label_stays_on_one_line(value):
    assert parse_toml(f"value = {inline(value)}") == {"value": value}
    assert shown(value) == "" or shown(value).isprintable()


# Mistakes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('scenarios = ["nope"]\nseeds = [1]', "scenarios[0]: no scenario and no file is called '"),
        ("seeds = [1]", "scenarios: is required"),
        ('scenarios = "exchange"\nseeds = [1]', "scenarios: expected a list, found 'exchange'"),
        ("scenarios = [3]\nseeds = [1]", "scenarios[0]: expected a table, found 3"),
        ("scenarios = []\nseeds = [1]", "scenarios: expected at least 1 in the list, found 0"),
        (
            'scenarios = ["exchange", "exchange"]\nseeds = [1]',
            "scenarios[1]: expected labels that differ, found 'exchange'",
        ),
        (
            'scenarios = [{ scenario = "exchange", lable = "x" }]\nseeds = [1]',
            "scenarios[0].lable: there is no such key",
        ),
        ('scenarios = ["exchange"]', "seeds: is required"),
        ('scenarios = ["exchange"]\nseeds = []', "seeds: expected at least 1 in the list, found 0"),
        ('scenarios = ["exchange"]\nseeds = [4, 2, 4]', "seeds: expected each once, found 4 twice"),
        ('scenarios = ["exchange"]\nseeds = [true]', "seeds[0]: expected a valid integer, found True"),
        ('scenarios = ["exchange"]\nseeds = [-1]', "seeds[0]: expected greater than or equal to 0, found -1"),
        (
            'scenarios = ["exchange"]\n[settings]\nepisodes = 3\nseeds = [1]',
            "seeds: is required, and stands below [settings]: move it above all tables",
        ),
        (f"{ONE}episodes = 3", "episodes: there is no such key in a sweep, which has title, about, scenarios, "),
        (f'{ONE}lables = "x"\n', "lables: there is no such key in a sweep"),
        (f'{ONE}algorithm = ["independent"]', "algorithm: there is no such key in a sweep, which has "),
        (
            f'{ONE}algorithms = ["independent", "independent"]',
            "algorithms: expected each once, found independent twice",
        ),
        (f'{ONE}algorithms = ["magic"]', "algorithms: algorithm.name: expected one of anticipation-sharing, "),
        (f'{ONE}baseline = "x"', "baseline: expected the label of a line, one of 'anticipation-sharing', found 'x'"),
        (f'{ONE}title = " x"', "title: expected text on one line, of at most 200 characters"),
        (f"{ONE}settings = 3", "settings: expected a table, found 3"),
        (f"{ONE}[settings]\nlearning.wat = 3", "settings: learning.wat: there is no such setting."),
        (f"{ONE}[settings]\nlearning.gamma = nan", "settings.learning.gamma: expected a finite number, found nan"),
        (f'{ONE}[settings]\n"a=b" = 3', "settings: expected dotted paths such as learning.rounds, found 'a=b'"),
        (f"{ONE}[settings]\nseed = 3", "settings.seed: expected no seed here: they stand under `seeds`"),
        (f'{ONE}[settings]\nalgorithm.name = "x"', "settings.algorithm.name: expected no algorithm here"),
        (f'{ONE}[grid]\nalgorithm.name = ["x"]', "grid.algorithm.name: expected no algorithm here"),
        (f'{ONE}[settings]\n"learning.clip" = 0.1\nlearning.clip = 0.1', "settings.learning.clip: expected it once"),
        (f"{ONE}[variants]\nlabel = 3", "variants: expected a list, found {'label': 3}"),
        (f"{ONE}[[variants]]\nlabel = 3", "variants[0].label: expected text, found 3"),
        (
            f'{ONE}[[variants]]\nlabel = "a"\n[[variants]]\nlabel = "a"\nlearning.clip = 0.1',
            "variants[1].label: expected labels that differ, found 'a' in variants[0] too",
        ),
        (
            f"{ONE}[[variants]]\n[[variants]]\nlearning.clip = 2",
            "variants[1]: learning.clip: expected less than 1, found 2",
        ),
        (f'{ONE}[[variants]]\nalgorithm = "magic"', "variants[0]: algorithm.name: expected one of anticipation-"),
        (f'{ONE}[[variants]]\ntopology = {{ kind = "k-regular" }}', "variants[0]: topology.degree: is required"),
        (f"{ONE}[[variants]]\nfaults = [{{}}]", "variants[0]: faults[0].kind: is required"),
        (
            f"{ONE}[[variants]]\nlearning.clip = 0.1\n[grid]\nlearning = {{ clip = [0.1] }}",
            "variants[0].learning.clip: expected none here, as grid.learning.clip sets it in every variant",
        ),
        (f"{ONE}[grid]\nlearning.rounds = 2", "grid.learning.rounds: expected a list of values, found 2."),
        (f"{ONE}[grid]\nlearning.rounds = []", "grid.learning.rounds: expected at least 1 in the list, found 0"),
        (f"{ONE}[grid]\nlearning.rounds = [1, 2, 1]", "grid.learning.rounds: expected each once, found 1 twice"),
        (
            f"{ONE}[grid]\nlearning.rounds = [1, 0]",
            "grid: learning.rounds: expected greater than or equal to 1, found 0",
        ),
        (f"{ONE}[grid]\nenvironment.agents = [3, 1]", "grid: environment.agents: expected "),
        (f'{ONE}[settings]\nexchange.late_shares = "reuse"', "settings: exchange.late_shares: expected drop"),
        (
            f"{ONE}[grid]\nlearning.clip = {[n / 200 for n in range(1, 102)]}\nseed-s = {list(range(101))}",
            "expected at most",
        ),
        ("scenarios = [", "expected TOML: "),
        (f"x = {'[' * 40}{']' * 40}", "line 1: expected at most 32 lists and tables"),
        (
            f"{ONE}[settings]\nepisodes = 2024-01-01",
            "settings.episodes: expected text, a number, a list or a table, found a",
        ),
    ],
)
def test_a_mistake_is_told_with_file_and_place_before_anything_runs(text, said, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        check(read_sweep(file))
    assert str(refused.value).startswith(f"{file}: {said}")
    assert "\n" not in str(refused.value)


def test_a_product_of_billions_is_refused_without_being_made():
    axes = "".join(f"learning.a{number} = {list(range(100))}\n" for number in range(5))
    with pytest.raises(ScenarioError, match="expected at most 10000 runs, found 10000000000: take fewer"):
        made(f"{ONE}[grid]\n{axes}")


def test_what_only_one_seed_cannot_do_is_found_too(monkeypatch):
    text = 'scenarios = ["exchange-quick"]\nseeds = [1, 2]\n'
    sweep = made(text)
    assert len(check(sweep)) == 2
    monkeypatch.setattr(
        "scenarios.sweeps.reading.make_plan", lambda scenario: [] if scenario.seed == 1 else pytest.fail("seed 2")
    )
    with pytest.raises(pytest.fail.Exception, match="seed 2"):
        check(sweep)


# The example and the page about it


def test_the_example_of_the_docs_can_run_and_is_what_the_page_shows():
    file = ROOT / "docs" / "examples" / "interests.toml"
    sweep = read_sweep(file)
    assert len(check(sweep)) == 12
    page = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    assert f"```toml\n{file.read_text(encoding='utf-8')}```" in page


def test_the_page_names_every_key_of_a_sweep():
    page = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    section = page.split("## Sweeps")[1].split("\n## ")[0]
    keys = set(re.findall(r"`([a-z]+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", section, flags=re.MULTILINE))))
    assert keys == set(SweepDocument.model_fields)
    for model in (SweepDocument, SweptScenario, SweptVariant):
        assert all(field.description for field in model.model_fields.values())
    assert tomllib.loads(ONE)
