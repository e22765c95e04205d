"""The floors of the house, read from the syntax trees: imports point downward, pure rooms stay pure."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("broker", "agent_node", "env_service", "scenarios")
FLOORS = (
    (
        *("broker/addresses.py", "broker/counting.py", "broker/errors.py", "broker/files.py", "broker/isolated.py"),
        *("broker/model.py", "broker/open_files.py", "broker/own_clock.py", "broker/release.py", "broker/run_name.py"),
        *("broker/seeding.py", "broker/text_files.py", "broker/threads.py"),
    ),
    ("broker/arithmetic", "broker/free_ports.py", "broker/user_code.py"),
    ("broker/wire",),
    ("broker/faults",),
    ("broker/config.py",),
    ("broker/participants", "broker/security"),
    ("broker/transports",),
    ("broker/transports/zeromq", "broker/transports/mqtt"),
    ("broker/driving", "broker/servers"),
    (
        *("agent_node/config.py", "env_service/config.py"),
        *("env_service/global_streams.py", "env_service/own_module.py"),
    ),
    ("env_service/environments/scene.py",),
    ("env_service/environments/task.py",),
    ("env_service/environments/given.py",),
    ("env_service/environments/vmas",),
    ("agent_node/experience", "env_service/environments"),
    ("agent_node/learning",),
    ("agent_node/algorithms",),
    ("agent_node", "env_service"),
    ("agent_node/acting",),
    ("scenarios/document/text",),
    ("scenarios/document",),
    ("scenarios/results/sinks",),
    ("scenarios/results",),
    ("scenarios/results/proof",),
    ("scenarios/telemetry",),
    ("scenarios/reports", "scenarios/running"),
    ("scenarios/running/control", "scenarios/running/batch"),
    ("scenarios/running/meeting", "scenarios/running/processes"),
    ("scenarios/running/simulated", "scenarios/running/launched", "scenarios/running/hosts"),
    ("scenarios/running/cluster",),
    ("scenarios/running/ways.py", "scenarios/running/bundles", "scenarios/running/run_logs.py"),
    ("scenarios/play", "scenarios/policies", "scenarios/replay"),
    ("scenarios/api", "scenarios/replay/comparing", "scenarios/replay/recorded", "scenarios/replay/tracing"),
    ("scenarios/watching",),
    ("scenarios/bench", "scenarios/trials", "scenarios/studies", "scenarios/studies/theory"),
    ("scenarios/studies/pages", "scenarios/sweeps"),
    ("scenarios/watching/page", "scenarios/watching/terminal"),
    ("scenarios/commands",),
)
"""The order among the rooms, the lowest floor first. A room is a folder without the rooms in it, or a file that stands
on a floor of its own. It imports from floors below and from itself; rooms of one floor are strangers to each other."""
MOST_FILES = 16
PURE = (
    "agent_node/experience",
    "agent_node/learning",
    "agent_node/algorithms",
    "agent_node/protocol.py",
    "agent_node/fixed_policy.py",
    "agent_node/sharing.py",
    "agent_node/timesteps.py",
    "agent_node/partners.py",
    "agent_node/in_edge.py",
    "agent_node/config.py",
    "env_service/barrier.py",
    "env_service/environments",
    "env_service/episode.py",
    "env_service/protocol.py",
    "env_service/proximity.py",
    "env_service/trial.py",
    "env_service/config.py",
    "broker/addresses.py",
    "broker/arithmetic/__init__.py",
    "broker/arithmetic/adam.py",
    "broker/arithmetic/constants.py",
    "broker/arithmetic/draws.py",
    "broker/arithmetic/kernels.py",
    "broker/arithmetic/normal.py",
    "broker/arithmetic/reference.py",
    "broker/arithmetic/scalars.py",
    "broker/arithmetic/sizes.py",
    "broker/arithmetic/sums.py",
    "broker/arithmetic/version.py",
    "broker/config.py",
    "broker/counting.py",
    "broker/model.py",
    "broker/seeding.py",
    "broker/user_code.py",
    "broker/wire",
    "broker/faults",
    "broker/participants/barrier_times.py",
    "broker/participants/joining.py",
    "broker/participants/life.py",
    "broker/participants/link.py",
    "broker/participants/participant.py",
    "broker/participants/phases.py",
    "broker/participants/seal.py",
    "broker/participants/strangers.py",
    "broker/driving/driver.py",
    "broker/driving/wrapped_participant.py",
    "broker/driving/virtual_time.py",
    "broker/servers/amqtt_config.py",
    "broker/transports/delivery.py",
    "broker/transports/memory.py",
    "broker/transports/mqtt/breaks.py",
    "broker/transports/mqtt/brokers.py",
    "broker/transports/mqtt/who.py",
    "broker/transports/queueing.py",
    "broker/transports/faulty.py",
    "broker/transports/transport.py",
    "broker/transports/wrapped.py",
    "scenarios/document/addressing.py",
    "scenarios/document/agent_names.py",
    "scenarios/document/text/explained.py",
    "scenarios/document/text/inline_toml.py",
    "scenarios/document/text/short_names.py",
    "scenarios/document/graph.py",
    "scenarios/document/plan.py",
    "scenarios/document/planning.py",
    "scenarios/document/process_faults.py",
    "scenarios/document/random_graphs.py",
    "scenarios/document/scenario.py",
    "scenarios/document/topology.py",
    "scenarios/document/wiring.py",
    "scenarios/play/acting.py",
    "scenarios/play/frame.py",
    "scenarios/play/numbers.py",
    "scenarios/policies/exported.py",
    "scenarios/replay/comparing/by_episode.py",
    "scenarios/replay/comparing/facts.py",
    "scenarios/replay/differences.py",
    "scenarios/replay/tracing/clock_offsets.py",
    "scenarios/replay/watched_learner.py",
    "scenarios/results/answers.py",
    "scenarios/results/played.py",
    "scenarios/results/same_run.py",
    "scenarios/reports/made.py",
    "scenarios/reports/markdown.py",
    "scenarios/reports/references.py",
    "scenarios/reports/seeds_told.py",
    "scenarios/reports/statistics.py",
    "scenarios/reports/variants.py",
    "scenarios/results/proof/aim.py",
    "scenarios/results/proof/evidence.py",
    "scenarios/results/proof/rates.py",
    "scenarios/results/proof/strikes.py",
    "scenarios/results/sinks/curves.py",
    "scenarios/results/sinks/sink.py",
    "scenarios/running/launched/speakers.py",
    "scenarios/running/nodes.py",
    "scenarios/running/scale.py",
    "scenarios/running/substrate.py",
    "scenarios/running/batch/cell.py",
    "scenarios/running/batch/outcome.py",
    "scenarios/running/cluster/placing.py",
    "scenarios/running/control/orders.py",
    "scenarios/running/control/recovery.py",
    "scenarios/running/control/run.py",
    "scenarios/running/control/strikes.py",
    "scenarios/running/control/supervisor.py",
    "scenarios/studies/bill.py",
    "scenarios/studies/candidates.py",
    "scenarios/studies/claims.py",
    "scenarios/studies/origins.py",
    "scenarios/studies/findings.py",
    "scenarios/studies/numbers.py",
    "scenarios/studies/page.py",
    "scenarios/studies/pages",
    "scenarios/studies/sizes.py",
    "scenarios/studies/study.py",
    "scenarios/studies/tasks.py",
    "scenarios/sweeps/combining.py",
    "scenarios/sweeps/document.py",
    "scenarios/sweeps/labels.py",
    "scenarios/sweeps/numbers.py",
    "scenarios/sweeps/page.py",
    "scenarios/sweeps/sweep.py",
    "scenarios/studies/theory/bounds.py",
    "scenarios/studies/theory/cases.py",
    "scenarios/studies/theory/mmdp.py",
    "scenarios/studies/theory/worked.py",
    "scenarios/telemetry/metrics.py",
    "scenarios/trials/condition.py",
    "scenarios/watching/agents_seen.py",
    "scenarios/watching/awaited.py",
    "scenarios/watching/edge_book.py",
    "scenarios/watching/fault_book.py",
    "scenarios/watching/happenings.py",
    "scenarios/watching/seen.py",
    "scenarios/watching/terminal/braille.py",
    "scenarios/watching/terminal/columns.py",
    "scenarios/watching/terminal/sentences.py",
    "scenarios/watching/thinning.py",
    "scenarios/trials/shrink.py",
)
IMPURE = frozenset(
    (
        *("asyncio", "socket", "zmq", "aiomqtt", "amqtt", "paho", "time", "os", "logging", "subprocess", "threading"),
        *("multiprocessing", "random", "signal", "sqlite3", "tempfile", "shutil", "sys", "rich", "click"),
    )
)


@cache
def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(path)))


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything a module imports, wherever in it."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def reached(path: Path) -> Iterator[str]:
    """Dotted names of our own modules that a module imports, starts with `-m`, preloads or names in a string."""
    for node in nodes_of(path):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.search(r"\s", node.value):
            names = [node.value.split(":")[0].removesuffix(".")]  # the beginning of an f-string ends with a dot
        yield from (name for name in names if name.split(".")[0] in PACKAGES and place_of(name) is not None)


def place_of(name: str) -> Path | None:
    """The file or folder of a dotted name, if it is a module of ours."""
    path = ROOT / name.replace(".", "/")
    return path if path.is_dir() else path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


def room_of(path: Path) -> str:
    """The room a file or folder lies in."""
    inside = path.relative_to(ROOT)
    rooms = {room for floor in FLOORS for room in floor}
    return next(place for place in map(Path.as_posix, (inside, *inside.parents)) if place in rooms)


def is_pure(path: Path) -> bool:
    relative = path.relative_to(ROOT).as_posix()
    return any(relative == room or relative.startswith(f"{room}/") for room in PURE)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_file_lies_in_a_room_and_every_room_and_path_named_here_exists() -> None:
    for path in modules():
        if len(path.relative_to(ROOT).parts) > 2 or path.parent.name != "scenarios":
            assert path.name == "__init__.py" or room_of(path), path
    named = [node.value for node in ast.walk(tree_of(Path(__file__))) if is_path(node)]
    assert len(named) > 60
    assert [name for name in named if not (ROOT / name).exists()] == []


def is_path(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(rf"({'|'.join(PACKAGES)})(/[\w/]+(\.py)?)?", node.value) is not None
    )


def test_arrows_between_rooms_point_downward() -> None:
    floor_of = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    for path in modules():
        if path.parent == ROOT / "scenarios" or (path.parent == ROOT / "broker" and path.name == "__init__.py"):
            continue
        own = room_of(path)
        for name in reached(path):
            place = place_of(name)
            assert place is not None
            if place.is_dir() and (place / "__init__.py").is_file() and is_empty(place / "__init__.py"):
                continue  # `from broker.transports import memory` reaches the module, which is looked at itself
            other = room_of(place)
            assert other == own or floor_of[other] < floor_of[own], f"{path.relative_to(ROOT)} reaches up to {name}"


def is_empty(init: Path) -> bool:
    return len(tree_of(init).body) <= 1


def test_every_entry_point_leads_to_something_that_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [
        *project["scripts"].values(),
        *(each for group in project["entry-points"].values() for each in group.values()),
    ]
    assert len(named) >= 2
    for entry in named:
        module, _, attribute = entry.partition(":")
        place = place_of(module)
        assert place is not None, entry
        names = {node.name for node in tree_of(place).body if isinstance(node, ast.FunctionDef)}
        assert not attribute or attribute in names, entry


def test_no_folder_holds_more_files_than_one_can_look_through() -> None:
    for folder in {path.parent for path in modules()}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= MOST_FILES, folder
    flat = {path.name for path in (ROOT / "scenarios").iterdir()} - {"__pycache__"}
    assert flat - {room.split("/")[1] for floor in FLOORS for room in floor if room.startswith("scenarios/")} == {
        "__init__.py",
        "__main__.py",
        "catalogue",
        "py.typed",
    }


def public_types(path: Path, kind: type[ast.stmt]) -> Iterator[str]:
    """The classes of a module (`ast.ClassDef`), or the types that it gives a shorter name (`ast.Assign`)."""
    for node in tree_of(path).body:
        if not isinstance(node, kind):
            continue
        if isinstance(node, ast.ClassDef):
            yield from () if node.name.startswith("_") else (node.name,)
        elif isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith("TypeVar("):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            yield from (name for name in names if re.fullmatch("[A-Z][a-z][A-Za-z]*", name))


def places_of(kind: type[ast.stmt], paths: Iterable[Path]) -> dict[str, list[str]]:
    """By name of a type, the modules that define it."""
    places: dict[str, list[str]] = {}
    for path in paths:
        for name in public_types(path, kind):
            places.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    return places


def test_every_public_class_has_a_name_of_its_own() -> None:
    assert {name: found for name, found in places_of(ast.ClassDef, modules()).items() if len(found) > 1} == {}


def test_no_short_name_that_agents_and_the_environment_give_a_type_means_anything_else() -> None:
    classes, short = places_of(ast.ClassDef, modules()), places_of(ast.Assign, modules())
    ours = [path for path in modules() if path.relative_to(ROOT).parts[0] in ("agent_node", "env_service")]
    given = places_of(ast.Assign, ours)
    assert {"Float", "Sees"} <= given.keys()
    found = {name: [*classes.get(name, ()), *short[name]] for name in given}
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_pure_rooms_know_no_clock_no_socket_and_no_process() -> None:
    for path in filter(is_pure, modules()):
        reached = {name.split(".")[0] for name in imports(path)} & IMPURE
        assert not reached, f"{path.relative_to(ROOT)} imports {reached}"


def test_the_broker_and_the_environment_know_no_torch() -> None:
    for package in ("broker", "env_service"):
        for path in (ROOT / package).rglob("*.py"):
            assert "torch" not in {name.split(".")[0] for name in imports(path)}, path


def test_scipy_and_matplotlib_are_imported_late_and_by_scenarios_alone() -> None:
    for path in modules():
        for name in imports(path):
            if name.split(".")[0] == "scipy":
                assert path.relative_to(ROOT).parts[0] == "scenarios", path
        if path.name not in {"panels.py", "learning_curve.py", "picture.py", "drawing.py"}:
            early = {name.split(".")[0] for name in top_level_imports(path)}
            assert not {"scipy", "matplotlib", "pyarrow", "PIL", "onnx"} & early, f"{path} imports {early}"


PLAY_NO_WHOLE_RUN = {"scenarios/play/along.py", "scenarios/commands/hosts/doctor.py"}
"""Evaluations within a training, and a step that is tried out."""


def test_python_commands_and_trials_play_scenarios_through_one_door() -> None:
    """Benchmarks alone play them otherwise: they measure what the loop does."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in nodes_of(path)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("scenarios.running.control")
        and "run" in {alias.name for alias in node.names}
        and "bench" not in path.parts
    }
    assert found == PLAY_NO_WHOLE_RUN | {"scenarios/api/one_run.py"}


def test_amqtt_is_imported_by_its_own_process_alone_and_cryptography_where_certificates_are_made() -> None:
    rooms = {"amqtt": {"amqtt_server.py"}, "cryptography": {"certificates.py", "validity.py"}}
    for path in modules():
        for name in imports(path):
            assert path.name in rooms.get(name.split(".")[0], {path.name}), f"{path} imports {name}"
    importers = [path for path in modules() if "broker.servers.amqtt_server" in imports(path)]
    assert not importers


FOR_WATCHING_ALONE = {
    "mlflow": {"scenarios/telemetry/mlflow_curves.py"},
    "opentelemetry": {"broker/driving/spans.py"},
    "prometheus_client": {"scenarios/telemetry/endpoint.py"},
    "textual": {"scenarios/watching/terminal/app.py", "scenarios/watching/terminal/table.py"},
    "wandb": {"scenarios/telemetry/wandb_curves.py"},
}


def test_what_only_watching_needs_is_imported_by_its_own_files_and_these_late() -> None:
    found: dict[str, set[str]] = {package: set() for package in FOR_WATCHING_ALONE}
    for path in modules():
        relative = path.relative_to(ROOT).as_posix()
        for name in imports(path):
            if name.split(".")[0] in found:
                found[name.split(".")[0]].add(relative)
        early = {place_of(name) for name in top_level_imports(path) if name.split(".")[0] in PACKAGES}
        for files in FOR_WATCHING_ALONE.values():
            if relative not in files and "prometheus_client" not in relative:
                late = {ROOT / file for file in files} - {ROOT / "scenarios/telemetry/endpoint.py"}
                assert not late & early, f"{relative} imports {late & early} at once"
    assert found == FOR_WATCHING_ALONE


DATES = {"time.time", "time.time_ns", "datetime.now", "dt.datetime.now", "date.today", "datetime.utcnow"}
KNOW_THE_DATE = {
    *("broker/transports/mqtt/connection.py", "broker/servers/mqtt_server.py"),  # against the dates of certificates
    *("scenarios/results/store.py", "scenarios/results/sinks/scalars_log.py"),  # written down for people to read
    "broker/transports/journal.py",  # the same
    *("broker/driving/spans.py", "broker/driving/traced_participant.py"),  # of spans, which other programs show
    *("scenarios/telemetry/run_metrics.py", "scenarios/telemetry/collector.py", "scenarios/telemetry/telemetry.py"),
    "scenarios/telemetry/mlflow_curves.py",
    *(
        "scenarios/running/hosts/health/doctor.py",
        "scenarios/running/hosts/health/examining.py",
    ),  # the clocks of hosts are compared
}
PATIENT_BY_THE_CLOCK_OF_THE_HOST = {
    *("broker/transports/mqtt/client.py", "broker/transports/mqtt/own_loop.py"),  # a single wait; a goodbye
}


def test_the_date_is_asked_for_only_where_people_read_it_or_a_certificate_holds_one() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in DATES
    }
    assert found == KNOW_THE_DATE


def test_patience_is_counted_in_time_that_a_process_has_lived_through() -> None:
    """`give_up_at` is how it is called everywhere."""
    found = set()
    for path in modules():
        for node in nodes_of(path):
            if isinstance(node, ast.Assign) and any(ast.unparse(target) == "give_up_at" for target in node.targets):
                found |= {path.relative_to(ROOT)} if "time.monotonic()" in ast.unparse(node.value) else set()
    found = {path for path in found if "bench" not in path.parts}
    assert {path.as_posix() for path in found} == PATIENT_BY_THE_CLOCK_OF_THE_HOST


BESIDE_TORCH = {"scenarios/bench/arithmetic.py", "scenarios/bench/bare.py"}
FIND_A_GRADIENT_OR_WRITE_FOR_TORCH = {"agent_node/learning/differentiated.py", "scenarios/policies/torch_files.py"}


def test_torch_is_imported_for_a_gradient_for_files_of_its_own_and_by_benchmarks_beside_it_alone() -> None:
    """And there late: a node of a built-in algorithm never imports it."""
    for path in modules():
        relative = path.relative_to(ROOT).as_posix()
        if relative not in BESIDE_TORCH:
            early = set(top_level_imports(path))
            assert "torch" not in {name.split(".")[0] for name in early}, relative
            assert not {each.removesuffix(".py").replace("/", ".") for each in BESIDE_TORCH} & early, relative
        if relative not in BESIDE_TORCH | FIND_A_GRADIENT_OR_WRITE_FOR_TORCH:
            late = {name.split(".")[0] for name in imports(path)} - annotations_alone(path)
            assert "torch" not in late, relative


def annotations_alone(path: Path) -> set[str]:
    """What a module imports for its annotations."""
    return {
        name.split(".")[0]
        for node in tree_of(path).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for each in node.body
        if isinstance(each, ast.ImportFrom)
        for name in [each.module or ""]
    }


def test_the_learning_core_takes_numpy_only() -> None:
    allowed = {"torch", "numpy", "agent_node", "broker"}
    standard = {"__future__", "abc", "collections", "dataclasses", "enum", "functools", "hashlib", "math"}
    standard |= {"types", "typing"}
    for room in ("agent_node/learning", "agent_node/algorithms"):
        for path in (ROOT / room).rglob("*.py"):
            reached = {name.split(".")[0] for name in imports(path)} - allowed - standard
            assert not reached, f"{path.relative_to(ROOT)} imports {reached}"


def test_nobody_unpickles_or_evaluates_anything() -> None:
    for path in modules():
        assert not {"pickle", "dill", "cloudpickle", "marshal", "shelve"} & {
            name.split(".")[0] for name in imports(path)
        }, path
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, path


def test_the_generators_that_a_process_shares_are_touched_by_one_file_which_draws_from_none() -> None:
    """That file lends them to copies of somebody's environment, which may draw from them without our knowledge."""
    allowed = {"MT19937", "BitGenerator", "get_state", "set_state", "get_bit_generator", "set_bit_generator"}
    lending = ROOT / "env_service/global_streams.py"
    for path in modules():
        for node in nodes_of(path):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("numpy.random"):
                taken = {alias.name for alias in node.names}
                assert taken <= (allowed if path == lending else {"Generator", "Philox"}), f"{path} takes {taken}"
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "random":
                ours = {"getstate", "setstate", "Random"} if path == lending else {"Random"}
                assert node.attr in ours, f"{path}: {ast.unparse(node)}"


def test_no_module_draws_from_a_hidden_stream() -> None:
    hidden = {"np.random", "numpy.random", "torch.random"}
    for path in modules():
        for node in nodes_of(path):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in hidden:
                assert node.attr in {"Generator", "Philox"}, f"{path}: {ast.unparse(node)} draws from a hidden stream"


def test_imports_make_no_circle() -> None:
    graph = {
        name_of(path): {name for name in top_level_imports(path) if name.split(".")[0] in PACKAGES}
        for path in modules()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"circle: {' -> '.join((*trail[trail.index(name) :], name))}"
        if name in done:
            return
        for target in graph.get(name, ()):
            visit(target, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def top_level_imports(path: Path) -> Iterator[str]:
    for node in tree_of(path).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_public_names_have_docstrings() -> None:
    for path in modules():
        tree = tree_of(path)
        if path.name != "__init__.py" or tree.body:
            assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.relative_to(ROOT)}: {node.name} has no docstring"


def test_functions_stay_short() -> None:
    for path in modules():
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= 50, f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"
