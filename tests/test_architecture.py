"""The floors of the house, read from the syntax trees: imports point downward, pure rooms stay pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "broker": {"broker"},
    "agent_node": {"agent_node", "broker"},
    "env_service": {"env_service", "broker"},
    "scenarios": {"scenarios", "agent_node", "env_service", "broker"},
}
PURE = (
    "agent_node/learning",
    "agent_node/algorithms",
    "agent_node/protocol.py",
    "agent_node/partners.py",
    "agent_node/in_edge.py",
    "agent_node/config.py",
    "env_service/environments",
    "env_service/protocol.py",
    "env_service/proximity.py",
    "env_service/config.py",
    "broker/servers/amqtt_config.py",
    "broker/wire/codec.py",
    "broker/config.py",
    "broker/transports/delivery.py",
    "broker/driving/driver.py",
    "broker/faults/delays.py",
    "broker/faults/config.py",
    "broker/faults",
    "broker/participants/joining.py",
    "broker/wire/messages.py",
    "broker/participants/participant.py",
    "broker/wire/records.py",
    "broker/seeding.py",
    "broker/driving/virtual_time.py",
    "broker/transports/memory.py",
    "broker/transports/faulty.py",
    "scenarios/studies/theory/bounds.py",
    "scenarios/studies/theory/cases.py",
    "scenarios/studies/theory/mmdp.py",
    "scenarios/studies/theory/worked.py",
    "scenarios/document/topology.py",
    "scenarios/reports/references.py",
    "scenarios/reports/statistics.py",
    "scenarios/studies/bill.py",
    "scenarios/studies/candidates.py",
    "scenarios/running/batch/cell.py",
    "scenarios/studies/claims.py",
    "scenarios/studies/origins.py",
    "scenarios/studies/outcome.py",
    "scenarios/studies/pages",
    "scenarios/studies/sizes.py",
    "scenarios/studies/study.py",
    "scenarios/studies/tables.py",
)
IMPURE = frozenset(
    (
        *("asyncio", "socket", "zmq", "aiomqtt", "amqtt", "paho", "time", "os", "logging", "subprocess", "threading"),
        *("multiprocessing", "random", "signal", "sqlite3", "tempfile", "shutil", "sys", "rich", "click"),
    )
)


def modules() -> list[Path]:
    return sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def is_pure(path: Path) -> bool:
    relative = path.relative_to(ROOT).as_posix()
    return any(relative == room or relative.startswith(f"{room}/") for room in PURE)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_downward(package: str) -> None:
    others = set(MAY_IMPORT) - MAY_IMPORT[package]
    for path in (ROOT / package).rglob("*.py"):
        reached = {name.split(".")[0] for name in imports(path)} & others
        assert not reached, f"{path.relative_to(ROOT)} imports {reached}"


def test_pure_rooms_know_no_clock_no_socket_and_no_process() -> None:
    for path in filter(is_pure, modules()):
        reached = {name.split(".")[0] for name in imports(path)} & IMPURE
        assert not reached, f"{path.relative_to(ROOT)} imports {reached}"


def test_every_pure_room_exists() -> None:
    missing = [room for room in PURE if not (ROOT / room).exists()]
    assert not missing


def test_the_broker_and_the_environment_know_no_torch() -> None:
    for package in ("broker", "env_service"):
        for path in (ROOT / package).rglob("*.py"):
            assert "torch" not in {name.split(".")[0] for name in imports(path)}, path


def test_scipy_and_matplotlib_are_imported_late_and_by_scenarios_alone() -> None:
    for path in modules():
        for name in imports(path):
            if name.split(".")[0] == "scipy":
                assert path.relative_to(ROOT).parts[0] == "scenarios", path
        if path.name not in {"figures.py", "learning_curve.py", "picture.py"}:
            early = {name.split(".")[0] for name in top_level_imports(path)}
            assert not {"scipy", "matplotlib", "pyarrow"} & early, f"{path} imports {early}"


def test_amqtt_is_imported_by_its_own_process_alone_and_cryptography_where_certificates_are_made() -> None:
    rooms = {"amqtt": {"amqtt_server.py"}, "cryptography": {"certificates.py"}}
    for path in modules():
        for name in imports(path):
            assert path.name in rooms.get(name.split(".")[0], {path.name}), f"{path} imports {name}"
    importers = [path for path in modules() if "broker.servers.amqtt_server" in imports(path)]
    assert not importers


def test_the_agents_protocol_knows_no_torch() -> None:
    reached, waiting = set(), [ROOT / "agent_node/protocol.py"]
    while waiting:
        path = waiting.pop()
        for name in imports(path):
            assert name.split(".")[0] != "torch", f"{path} imports torch"
            module = ROOT / (name.replace(".", "/") + ".py")
            if module.exists() and module not in reached:
                reached.add(module)
                waiting.append(module)


def test_what_a_launcher_reads_of_an_algorithm_imports_no_torch() -> None:
    """Transitively from every page and from what sizes their shares; annotations may name tensors all the same."""
    pages = list((ROOT / "agent_node/algorithms").glob("*.py"))
    reached: set[Path] = set()
    waiting = [*pages, ROOT / "scenarios/document/planning.py", ROOT / "agent_node/registry.py"]
    while waiting:
        path = waiting.pop()
        reached.add(path)
        for name in top_level_imports(path):
            assert name.split(".")[0] != "torch", f"{path} imports torch"
            module = ROOT / (name.replace(".", "/") + ".py")
            if module.exists() and module not in reached:
                waiting.append(module)
    assert {ROOT / f"agent_node/learning/{name}.py" for name in ("algorithm", "shares", "network_sizes")} <= reached


def test_the_learning_core_takes_torch_and_numpy_only() -> None:
    allowed = {"torch", "numpy", "agent_node", "broker"}
    standard = {"__future__", "abc", "collections", "dataclasses", "enum", "hashlib", "itertools", "math", "typing"}
    for room in ("agent_node/learning", "agent_node/algorithms"):
        for path in (ROOT / room).rglob("*.py"):
            reached = {name.split(".")[0] for name in imports(path)} - allowed - standard
            assert not reached, f"{path.relative_to(ROOT)} imports {reached}"


def test_nobody_unpickles_or_evaluates_anything() -> None:
    for path in modules():
        assert not {"pickle", "dill", "cloudpickle", "marshal", "shelve"} & {
            name.split(".")[0] for name in imports(path)
        }, path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, path


def test_no_module_draws_from_a_hidden_stream() -> None:
    hidden = {"np.random", "numpy.random", "torch.random"}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in hidden:
                assert node.attr in {"Generator", "Philox"}, f"{path}: {ast.unparse(node)} draws from a hidden stream"


def test_imports_make_no_circle() -> None:
    graph = {
        name_of(path): {name for name in top_level_imports(path) if name.split(".")[0] in MAY_IMPORT}
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
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_public_names_have_docstrings() -> None:
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.name != "__init__.py" or tree.body:
            assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.relative_to(ROOT)}: {node.name} has no docstring"


def test_functions_stay_short() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= 50, f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"
