"""A page as NiceGUI knows it: one element that takes messages; what is in it is drawn by `assets/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from nicegui import ui
from nicegui.element import Element

ASSETS = Path(__file__).parent / "assets"

_ = ui.echart  # its library is what `assets/curve.js` draws with


class View(Element, component="view.js", esm={"foretell-watch": "assets"}):
    """One page.

    Args:
        kind: Which.
    """

    def __init__(self, kind: Literal["run", "compare", "list"]) -> None:
        super().__init__()
        self.props(f"kind={kind}")

    def tell(self, message: Mapping[str, Any]) -> None:
        """Let the page take a message; nobody waits for it."""
        self.run_method("take", dict(message))
