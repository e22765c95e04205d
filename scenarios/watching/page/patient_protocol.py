"""HTTP for people whom nobody knows: few connections at a time, and none for long that asks for nothing."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 128
"""A browser has about seven for each page."""
PATIENCE_S = 10.0


class PatientProtocol(H11Protocol):
    """One connection: closed at once where there are too many, and later where no request of it is being answered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or not."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self.transport.close()
        else:
            self.loop.call_later(PATIENCE_S, self._look)

    def _look(self) -> None:
        """Close it where it asks for nothing; one that has become a WebSocket has come in, and is another's."""
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.loop.call_later(PATIENCE_S, self._look)
