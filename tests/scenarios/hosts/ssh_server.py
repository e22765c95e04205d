"""`python ssh_server.py HOST_KEY AUTHORIZED PORT`: an SSH server of one host, which runs commands as sshd does."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from typing import Any

import asyncssh


class Forwarding(asyncssh.SSHServer):
    """Lets ports of its host be reached through it, as sshd does."""

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return True


async def execute(session: asyncssh.SSHServerProcess[Any]) -> None:
    """Run a command with its pipes on the connection."""
    shell = await asyncio.create_subprocess_shell(session.command or "true", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert shell.stdin is not None
    assert shell.stdout is not None
    assert shell.stderr is not None
    hearing = asyncio.create_task(_copy(session.stdin, shell.stdin))
    await asyncio.gather(_copy(shell.stdout, session.stdout), _copy(shell.stderr, session.stderr))
    code = await shell.wait()
    hearing.cancel()
    session.exit(code)


async def _copy(source: Any, sink: Any) -> None:
    """Copy until the source ends; the sink ends with it."""
    try:
        while chunk := await source.read(1 << 16):
            sink.write(chunk)
            await sink.drain()
    except (OSError, asyncssh.Error):
        pass
    if isinstance(sink, asyncio.StreamWriter):
        sink.close()


async def serve(host_key: str, authorized: str, port: str) -> None:
    """Serve until somebody ends the process."""
    server = await asyncssh.create_server(
        Forwarding,
        "127.0.0.1" if port == "0" else "",
        int(port),
        server_host_keys=[host_key],
        authorized_client_keys=authorized,
        process_factory=execute,
        encoding=None,
        keepalive_interval=5,
    )
    print(server.get_port(), flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
