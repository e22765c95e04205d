"""The unit by which systemd keeps a host of a run alive, for the manager of its user: nobody has to be root."""

from __future__ import annotations

from scenarios.running.fleet import HostConfig

_WATCHDOG_S = 60
_AGAIN_S = 10
_END_WITHIN_S = 20
_HOME = "~/"


def unit_name(host: str) -> str:
    """What the unit of a host is called."""
    return f"foretell-{host}.service"


def unit(name: str, host: HostConfig, run: str) -> str:
    """The unit of a host whose bundle lies in the home folder there, under the host's name."""
    limit = [] if host.memory_mb is None else [f"MemoryMax={host.memory_mb}M", "MemorySwapMax=0"]
    lines = (
        "[Unit]",
        f"Description=Foretell: host {name} of {run}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        f"WorkingDirectory=%h/{name}",
        f"ExecStart={_python(host.python)} -P -m scenarios host .",
        f"WatchdogSec={_WATCHDOG_S}",
        f"TimeoutStopSec={_END_WITHIN_S}",
        "Restart=on-failure",
        f"RestartSec={_AGAIN_S}",
        *limit,
        "",
        "[Install]",
        "WantedBy=default.target",
    )
    return "\n".join(lines) + "\n"


def _python(python: str) -> str:
    """The interpreter as systemd takes it: an absolute path."""
    plain = python.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    if plain.startswith(_HOME):
        return f'"%h/{plain.removeprefix(_HOME)}"'
    return f'"{plain}"' if plain.startswith("/") else f'/usr/bin/env "{plain}"'
