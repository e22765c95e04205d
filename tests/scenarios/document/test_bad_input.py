"""Documents and files that nobody can mean: each is refused with exit code 2 and one sentence, and none keeps us."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib

import pytest
from runs import TINY, simulate_here

from broker.driving.process import WRONG
from broker.driving.process import main as take_slice
from broker.driving.slices import reader_of
from broker.errors import UserError
from broker.model import Model
from broker.security.curve import read_curve_keys
from scenarios.commands.main import main
from scenarios.document.delay_traces import read_trace
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.document.planning import make_plan
from scenarios.document.text.toml_text import MOST_DEEP, parse_toml
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.control.live_faults import LiveFaults
from scenarios.running.control.supervisor import Supervisor
from scenarios.running.fleet import load_fleet
from scenarios.studies.search import read_tuned
from scenarios.sweeps.reading import read_sweep
from scenarios.trials.condition import Condition

BASE = 'name = "base"\nseed = 3\nepisodes = 1\n[environment]\nkind = "exchange"\n[topology]\nkind = "complete"\n'
TRACE = 'faults=[{{kind="delay",delay_s={{distribution="trace",file="{}"}}}}]'


@pytest.fixture
def refused(monkeypatch, capsys):
    """What a command says that ends with exit code 2 and a sentence."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["foretell", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr().err
        assert caught.value.code == 2, said
        assert said.startswith("foretell: ")
        assert said.count("\n") == 1, said
        assert len(said) < 1000
        return said.removeprefix("foretell: ").rstrip("\n")

    return run


@pytest.fixture
def document(tmp_path):
    return tmp_path / "mine.toml"


DEEP = {
    "arrays": f"x = {'[' * 3000}{']' * 3000}",
    "tables": f"x = {'{a=' * 3000}1{'}' * 3000}",
    "arrays that never end": f"x = {'[' * 3000}",
    "arrays over lines": "x = " + "[\n" * 3000,
    "a key": f"{'.'.join(['a'] * 5000)} = 1",
    "a quoted key": f"""{'."b" . '.join(["'a'"] * 5000)} = 1""",
    "a header": f"[{'.'.join(['a'] * 5000)}]",
    "a header of a list": f"[[{'.'.join(['a'] * 5000)}]]",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_document_that_is_nested_too_deep_is_refused(refused, document, text):
    document.write_text(text + "\n")
    assert f"expected at most {MOST_DEEP}" in refused("check", document)


@pytest.mark.parametrize("text", [DEEP["arrays"], DEEP["tables"], "x = {{{}}}".format(DEEP["a key"])])
def test_a_setting_that_is_nested_too_deep_is_refused(refused, text):
    assert f"expected at most {MOST_DEEP}" in refused("check", "exchange-quick", "--set", text)


def test_a_key_of_many_parts_on_the_command_line_is_refused(refused):
    said = refused("check", "exchange-quick", "--set", f"{'.'.join(['a'] * 5000)}=1")
    assert said.startswith("--set expects a path of at most 32 parts, found 5000 in 'a.a.")


def test_nesting_is_not_looked_for_in_text_and_comments():
    brackets = "[" * 3000
    text = f"""# {brackets}
a = "{brackets}\\"{brackets}"
b = '{brackets}'
c = \"\"\"
{brackets}" \\\"\"\"{brackets}
\"\"\"
d = '''
{brackets}
'''
"{brackets}" = 1
"""
    assert parse_toml(text) == tomllib.loads(text)


def test_as_much_nesting_as_is_allowed_is_parsed():
    text = f"x = {'[' * MOST_DEEP}{']' * MOST_DEEP}\n{'.'.join('k' * MOST_DEEP)} = 1\n"
    assert parse_toml(text) == tomllib.loads(text)


def test_many_numbers_are_no_nesting():
    text = f"x = [{', '.join(['0.25'] * 10_000)}]\n" + "y.z = [[1.5, 2], {a.b = 1}]\n[[t]]\n" * 1
    assert parse_toml(text) == tomllib.loads(text)


DIGITS = {"decimal": "9" * 5000, "hex": f"0x{'f' * 5000}", "octal": f"0o{'7' * 5000}", "negative": f"-{'9' * 40}"}


@pytest.mark.parametrize("digits", DIGITS.values(), ids=DIGITS)
@pytest.mark.parametrize("where", ["seed", "learning.rounds", "environment.options.x", "learning.gamma"])
def test_integers_of_thousands_of_digits_are_refused(refused, document, digits, where):
    document.write_text(BASE + "[learning]\n" + f"rounds = {digits}\n")
    assert "expected an" in refused("check", document) or "expected integers" in refused("check", document)
    assert "expected" in refused("check", "exchange-quick", "--set", f"{where}={digits}")


def test_a_position_of_thousands_of_digits_is_refused(refused):
    words = ("--set", "faults=[]", "--set", f"faults.{'9' * 5000}.name=1")
    assert "is not a table that could hold" in refused("check", "exchange-quick", *words)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('description="a\\u0000b"', "description: expected text, found a NUL character in it"),
        ('transport.security.keys="a\\u0000b"', "transport.security.keys: expected text, found a NUL character in it"),
        (TRACE.format("a\\u0000b"), "faults[0].delay_s.file: expected text, found a NUL"),
        ("description=\udcff", "description: expected text in UTF-8, found bytes that are none"),
        ("faults=[2020-01-01]", "faults[0]: expected text, a number, a list or a table, found a date"),
    ],
)
def test_text_that_no_file_and_no_screen_takes_is_refused(refused, setting, said):
    assert refused("check", "exchange-quick", "--set", setting).startswith(said)


def test_settings_of_a_fault_are_looked_at_too():
    from broker.errors import ScenarioError

    with pytest.raises(ScenarioError, match=r"^at_s\[0\]: expected text, a number"):
        parse_settings(["at_s=[2020-01-01]"])


# Files


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda path: load_scenario(str(path)), BASE),
        (lambda path: read_sweep(path).cells, 'title = "swept"\nscenarios = ["exchange-quick"]\nseeds = [1, 2]\n'),
        (load_fleet, '[pi1]\ndial = "10.0.0.1"\nparticipants = ["*"]\n'),
    ],
    ids=["scenario", "sweep", "hosts"],
)
def test_a_document_is_the_same_as_an_editor_of_windows_writes_it(tmp_path, read, text):
    found = []
    for mark, end in ((b"", b"\n"), (b"\xef\xbb\xbf", b"\r\n")):
        path = tmp_path / "document.toml"
        path.write_bytes(mark + text.encode().replace(b"\n", end))
        found.append(read(path))
    assert found[0] == found[1]


def make_odd(path, kind):
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "nul":
            path.write_bytes(b"0.1\n0.2\0\n")
        case "no text":
            path.write_bytes(b"\xff\xfe0.1\n")
        case "endless":
            with path.open("wb") as file:
                file.truncate(1 << 40)  # a hole


ODD = {
    "pipe": "expected a file, found a pipe",
    "device": "expected a file, found a device",
    "folder": "expected a file, found a folder",
    "nul": "expected text, found a NUL character",
    "no text": "expected text in UTF-8, found byte 0xff",
    "endless": "expected at most 67108864 bytes, found more",
}
odd = pytest.mark.parametrize(("kind", "said"), ODD.items(), ids=ODD)


@odd
def test_a_scenario_that_is_no_text_file_is_refused(refused, document, kind, said):
    make_odd(document, kind)
    assert refused("check", document) == f"cannot read {document}: {said}"


@odd
def test_a_trace_that_is_no_text_file_is_refused(refused, tmp_path, kind, said):
    path = tmp_path / "trace.csv"
    make_odd(path, kind)
    found = refused("check", "exchange-quick", "--set", TRACE.format(path))
    said = said.replace("67108864", "268435456")
    assert found == f"faults[0].delay_s.file: cannot read {path}: {said}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished") / "run"
    simulate_here(root, "exchange-quick", "--episodes", "1", *TINY)
    return root


@odd
@pytest.mark.parametrize("words", ["report", "export --format csv", "fault list", "resume"])
def test_a_document_of_a_run_that_is_no_text_file_is_refused_by_every_command(
    refused, finished, tmp_path, kind, said, words
):
    root = shutil.copytree(finished, tmp_path / "run")
    (root / "scenario.toml").unlink()
    make_odd(root / "scenario.toml", kind)
    if "resume" in words:
        (root / "summary.json").unlink()
    assert refused(*words.split(), root) == f"cannot read the run in {root}: scenario.toml: {said}"


@pytest.mark.parametrize("name", ["run.sqlite", "summary.json"])
@pytest.mark.parametrize("words", ["report", "export --format csv", "ledger", "why"])
def test_a_pipe_in_the_place_of_results_keeps_nobody(refused, finished, tmp_path, name, words):
    root = shutil.copytree(finished, tmp_path / "run")
    (root / name).unlink()
    os.mkfifo(root / name)
    if name == "run.sqlite" or words.startswith(("report", "export")):
        assert str(root) in refused(*words.split(), root)


@odd
def test_the_settings_of_a_search_are_read_from_a_text_file_alone(tmp_path, kind, said):
    make_odd(tmp_path / "tuned.toml", kind)
    with pytest.raises(UserError, match=f"tuned.toml: {said}$"):
        read_tuned(tmp_path / "tuned.toml")


@odd
def test_a_slice_is_read_from_a_text_file_alone(tmp_path, monkeypatch, caplog, kind, said):
    make_odd(tmp_path / "slice.json", kind)
    monkeypatch.setattr(sys, "argv", ["agent_node", str(tmp_path / "slice.json")])
    assert take_slice("agent_node", reader_of(Model), lambda _: 0) == WRONG
    assert said.replace("67108864", "268435456") in caplog.text


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nul"])
def test_a_key_is_read_from_a_small_file_alone(tmp_path, kind):
    make_odd(tmp_path / "curve.secret", kind)
    with pytest.raises(UserError, match=r"curve\.secret"):
        read_curve_keys(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nul"])
def test_an_order_that_is_no_file_is_not_waited_for(tmp_path, kind):
    folder, plan = RunFolder(tmp_path), make_plan(load_scenario("exchange-quick", {"episodes": 1}))
    observer = Observer(plan, folder, "simulate", lambda _: None)
    faults = LiveFaults(plan, folder, observer, Supervisor(plan, observer))
    folder.orders.mkdir()
    make_odd(folder.orders / "1.json", kind)
    assert faults.changed(None) is None
    observer.finish()


CONDITIONS = (
    "not " * 5000 + "1",
    "-" * 100_000 + "1",
    "9" * 900 + " * 1.5 < 2",
    "(" * 400 + "1" + ")" * 400,
)


@pytest.mark.parametrize("text", [*CONDITIONS, "+".join(["1"] * 20_000), "a\0b"], ids=len)
def test_a_condition_that_nobody_can_mean_is_refused(text):
    with pytest.raises(UserError, match=r"^the condition .* cannot be asked: ") as caught:
        Condition(text).holds({})
    assert len(str(caught.value)) < 400


# Numbers that do not go together


def test_rounds_in_which_agents_may_wait_longer_than_the_environment_are_refused(refused):
    said = refused("check", "exchange-quick", "--set", "exchange.patience_s=100")
    assert said.startswith("exchange.patience_s: expected learning.rounds * patience_s below service.give_up_s = 300, ")
    assert "3 * 100 = 300" in said


def test_whoever_shares_nothing_waits_for_nobody(monkeypatch, capsys):
    words = ("--set", "exchange.patience_s=100", "--set", "algorithm.name=independent")
    monkeypatch.setattr(sys, "argv", ["foretell", "check", "exchange-quick", *words])
    main()
    assert 'name = "independent"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "setting",
    [
        "joining.give_up_s=1e300",
        "exchange.patience_s=1e300",
        "service.action_patience_s=1e-300",
        "recovery.hung_after_s=1e300",
        "transport.observer_queue_messages=1000000000000",
        'faults=[{kind="delay",delay_s={distribution="constant",value_s=1e300}}]',
        'faults=[{kind="hold",seconds=[0.0,1e300]}]',
        'faults=[{kind="stop",participants=["*"],at_s=[1e300],for_s=1.0}]',
    ],
)
def test_times_that_no_clock_resolves_are_refused(refused, setting):
    assert "expected" in refused("check", "exchange-quick", "--set", setting)


def test_a_delay_in_a_trace_that_no_clock_resolves_is_refused(refused, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("0.1\n1e300\n")
    assert "line 2: expected seconds from 0 to 1e+09" in refused("check", "exchange-quick", "--set", TRACE.format(path))


@pytest.mark.parametrize("text", ["-0.5", "nan", "1e12", "inf", "-1"])
@pytest.mark.parametrize("line", [1, 2])
def test_a_number_that_is_no_delay_is_refused_on_the_first_line_of_a_trace_as_on_any_other(
    refused, tmp_path, text, line
):
    path, lines = tmp_path / "trace.csv", ["0.1", "0.2"]
    lines.insert(line - 1, text)
    path.write_text("\n".join(lines))
    found = refused("check", "exchange-quick", "--set", TRACE.format(path))
    said = f"{path}, line {line}: expected seconds from 0 to 1e+09, found {text!r}"
    assert found == f"faults[0].delay_s.file: {said}"


def test_a_line_of_a_trace_without_a_delay_before_its_other_columns_is_refused(refused, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("delay,to\n0.1,a\n,b\n")
    found = refused("check", "exchange-quick", "--set", TRACE.format(path))
    assert found == f"faults[0].delay_s.file: {path}, line 3: expected seconds from 0 to 1e+09, found ''"


@pytest.mark.parametrize("heading", ["", "delay_s\n", "delay_s,to\n", ",to\n", "\n"])
def test_a_first_line_that_is_no_number_is_the_heading_of_a_trace_and_empty_lines_are_none(tmp_path, heading):
    path = tmp_path / "trace.csv"
    path.write_text(f"{heading}0.1,a\n\n ,,\n0.2\n")
    assert read_trace(path, "faults[0]") == (0.1, 0.2)
