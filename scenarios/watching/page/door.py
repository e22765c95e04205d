"""Who may come in: whoever has the token, from a page of this server; all others are refused at once."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PARAMETER = "token"
_REFUSED = "This page needs its token: open the address that `foretell watch` has shown.\n"
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The browser itself sees to it that nothing is asked of anybody else."""
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


def new_token() -> str:
    """One that nobody guesses."""
    return secrets.token_urlsafe(24)


class Door:
    """Lets requests in that have the token, in a cookie or, once, in the address.

    Args:
        app: What is behind the door.
        token: What opens it.
        port: Of this server: browsers keep cookies by host and not by port, so the cookie is named after it.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = f"foretell-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it in."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not _is_from_here(headers):
            await _refuse(scope, send)
        elif self._has_cookie(headers):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "http" and self._has_parameter(scope):
            await self._admit(scope, send)
        else:
            await _refuse(scope, send)

    def _has_cookie(self, headers: dict[bytes, str]) -> bool:
        try:
            found = SimpleCookie(headers.get(b"cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self._token.encode())

    def _has_parameter(self, scope: Scope) -> bool:
        found = parse_qs(scope["query_string"].decode("latin-1")).get(PARAMETER, [""])
        return hmac.compare_digest(found[0].encode(), self._token.encode())

    async def _admit(self, scope: Scope, send: Send) -> None:
        """Give the cookie, and lead to the same page without the token, which so stands in no history.

        A browser counts the file that `--open` gives it as another site, from which a strict cookie would not come.
        """
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Lax"
        path = f"/{quote(scope['path'].lstrip('/'))}"  # two slashes would begin the name of another host
        headers = [(b"set-cookie", cookie.encode()), (b"location", path.encode()), *_HEADERS]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _is_from_here(headers: dict[bytes, str]) -> bool:
    """Whether a request comes from a page of this server, or from no page: other pages bring the same cookies."""
    origin = headers.get(b"origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == headers.get(b"host")
    except ValueError:  # it is no address
        return False


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
        await send(message)

    return sending


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": _REFUSED.encode()})
