"""Which Foretell this is, and what only an extra installs.

A plain `pip install foretell` is a node: an agent, our own tasks, a host, a broker.
"""

from __future__ import annotations

FORETELL = "0.2.0"
"""Read by setup from here: to ask the installed package would cost each process 2 MB."""
EXTRAS = {
    "gymnasium": "lab",
    "matplotlib": "lab",
    "mlflow": "mlflow",
    "opentelemetry": "opentelemetry",
    "pettingzoo": "lab",
    "PIL": "lab",
    "fastapi": "watch",
    "nicegui": "watch",
    "prometheus_client": "prometheus",
    "uvicorn": "watch",
    "rich": "lab",
    "scipy": "lab",
    "tensorboard": "lab",
    "textual": "watch",
    "torch": "torch",
    "wandb": "wandb",
}
"""The extra that brings a package, by the name under which the package is imported."""


def lacking(error: Exception) -> str:
    """Which extra is not installed, as the end of a sentence; empty for any other error."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package not in EXTRAS:
        return ""
    return f"needs {package}, which is not installed: pip install 'foretell[{EXTRAS[package]}]'"
