"""Packages of others, as pip leaves them."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, source: str, entries: dict[str, str], module: str = "altruism") -> None:
    """What pip leaves of a package with a single module."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {place}\n" for name, place in entries.items())
    (info / "entry_points.txt").write_text(f"[foretell.algorithms]\n{lines}")
