"""What systemd is told by a service of the type `notify`: that it is ready, and that it is still alive."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_SOCKET, _WITHIN = "NOTIFY_SOCKET", "WATCHDOG_USEC"
READY, ALIVE = "READY=1", "WATCHDOG=1"


class ServiceManager:
    """Who started this process and looks after it, or nobody: then nothing is told.

    Attributes:
        within_s: How often it wants to hear `ALIVE`; None where it does not ask.
    """

    def __init__(self) -> None:
        self._address = os.environ.get(_SOCKET, "")
        asked = os.environ.get(_WITHIN, "")
        self.within_s = int(asked) / 1e6 if asked.isascii() and asked.isdecimal() else None

    def tell(self, state: str) -> None:
        """Tell it a state; where it does not listen, that is its own matter."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way, suppress(OSError):
            way.sendto(state.encode(), address)
