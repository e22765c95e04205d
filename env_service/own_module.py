"""A module that somebody brought as a file: loaded by its path alone, so that its folder never joins the search path.

What lies beside it is not found by others, nor by itself: a module of several files is a package.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from broker.errors import ScenarioError

PACKAGE = "__init__.py"


class _Loader(SourceFileLoader):
    """Compiles what stands in the file now: bytecode that lies there may be of an earlier one."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def file_beside(folder: Path, name: str) -> Path | None:
    """The file of the module `name`, or of the package it is in, if one lies in `folder`."""
    top = name.partition(".")[0]
    candidates = (folder / top / PACKAGE, folder / f"{top}.py")
    return next((path for path in candidates if path.is_file()), None)


def digest_of(file: Path) -> str:
    """SHA-256 of a module's file, or of all Python of the package whose `__init__.py` it is.

    Raises:
        OSError: It cannot be read.
    """
    if file.name != PACKAGE:
        return sha256(file.read_bytes()).hexdigest()
    found = sha256()
    for path in sorted(file.parent.rglob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.relative_to(file.parent).as_posix()}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def load_module(file: Path, name: str) -> ModuleType:
    """Load the module `name` from its file, or from the package whose `__init__.py` the file is.

    One that is loaded is loaded again where its file has changed since, or is another one.

    Raises:
        ScenarioError: The name belongs to another module.
        ImportError: There is no such module; whatever else it raises passes, too.
        OSError: The file cannot be read.
    """
    top, digest = name.partition(".")[0], digest_of(file)
    before = sys.modules.get(top)
    spec = before.__spec__ if before is not None else None
    if spec is not None and isinstance(spec.loader, _Loader):
        if (spec.origin, spec.loader_state) == (str(file), digest):
            return import_module(name)
        _forget(top)
    if where := _elsewhere(top, file):
        problem = f"{file} has the name of another module ({where}), and would take its place: rename it"
        raise ScenarioError("environment.env", problem)
    _execute(top, file, digest)
    return import_module(name)


def _execute(top: str, file: Path, digest: str) -> None:
    loader = _Loader(top, str(file))
    inside = [str(file.parent)] if file.name == PACKAGE else None
    if inside:
        _compile_inner_files(file.parent)
    spec = spec_from_file_location(top, file, loader=loader, submodule_search_locations=inside)
    assert spec is not None  # noqa: S101 - with a loader there is always one
    spec.loader_state = digest
    module = sys.modules[top] = module_from_spec(spec)
    try:
        loader.exec_module(module)
    except BaseException:
        _forget(top)
        raise


def _compile_inner_files(package: Path) -> None:
    """Let what stands in the files of a package be compiled, too, in each of its folders."""
    for folder in dict.fromkeys(path.parent for path in package.rglob("*.py")):
        extensions = (ExtensionFileLoader, EXTENSION_SUFFIXES)
        sys.path_importer_cache[str(folder)] = FileFinder(str(folder), extensions, (_Loader, SOURCE_SUFFIXES))


def _forget(top: str) -> None:
    for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
        del sys.modules[name]


def _elsewhere(top: str, file: Path) -> str:
    """Where another module of this name is that this process needs, or may need; empty where there is none."""
    if top in sys.stdlib_module_names:
        return "Python itself"
    known = sys.modules.get(top)
    spec = find_spec(top) if known is None else known.__spec__
    origin = spec.origin if spec is not None else None
    if (known is None and origin is None) or origin == str(file):
        return ""
    return "" if known is None and _on_pythonpath(origin) else origin or "this process"


def _on_pythonpath(origin: str | None) -> bool:
    """Whether a module is one of the user's own, too: what PYTHONPATH names goes after the file."""
    folders = [Path(folder).absolute() for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return origin is not None and any(folder in Path(origin).parents for folder in folders)
