"""Hosts that wait for their launcher with bundles, as processes of this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from ports import free_port
from runs import children_of


class WaitingHost:
    """`foretell host BUNDLE`, with all that it starts.

    Attributes:
        said: Lines that it has said so far.

    Args:
        bundle: Its bundle.
        arguments: Of the command.
    """

    def __init__(self, bundle: Path, *arguments: str) -> None:
        command = [sys.executable, "-P", "-m", "scenarios", "host", str(bundle), *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._output = self._process.stdout
        self.said = [self._output.readline()]

    def until_said(self, text: str) -> str:
        """Wait for a line with a text, and give it."""
        while text not in self.said[-1]:
            line = self._output.readline()
            assert line, f"it ended without saying {text!r}: {self.said}"
            self.said.append(line)
        return self.said[-1]

    def kill(self) -> None:
        """Kill it at once, with all that it has started, as a power cut would."""
        for pid in (self._process.pid, *children_of(self._process.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.close()

    def close(self) -> None:
        """End it in order."""
        self._process.terminate()
        self._process.wait()
        self._output.close()


def fleet(homes: dict[str, list[str]]) -> str:
    """A hosts document of this host alone, each host with a free port to wait at."""
    lines = ["[launcher]", 'dial = "127.0.0.1"']
    for host, participants in homes.items():
        control = f"tcp://127.0.0.1:{free_port()}"
        named = str(participants).replace("'", '"')
        lines += [f"[{host}]", 'dial = "127.0.0.1"', f'control = "{control}"', f"participants = {named}"]
    return "\n".join(lines) + "\n"
