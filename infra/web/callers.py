"""Which pages may call, and by which names.

Browsers ask nobody before a WebSocket handshake, and let a page call any address that its own name was made to
resolve to (DNS rebinding): either would open a service on this machine to every page its user visits.
"""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.web.negotiation import GRAPHQL

ANY: Final = "*"
OPEN_PATHS: Final = ("/healthz", "/readyz")


class Callers:
    """Lets sockets in from pages of its own and of `origins`, and all else by every name or one of `hosts`.

    `hosts` are names beside `localhost` and plain addresses, which no stranger can point here; None: any name.
    """

    def __init__(
        self, app: ASGIApp, origins: Collection[str] = (), hosts: Collection[str] | None = None
    ) -> None:
        self._app = app
        self._origins = frozenset(origin.lower() for origin in origins)
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a handshake on, or refuse it with 403."""
        if scope["type"] in {"http", "websocket"} and scope["path"] not in OPEN_PATHS:
            problem = self._problem(Headers(scope=scope), scope["type"] == "websocket")
            if problem is not None:
                error = {"message": problem, "extensions": {"code": "FORBIDDEN"}}
                body = orjson.dumps({"errors": [error]})
                await Response(body, 403, media_type=GRAPHQL)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _problem(self, headers: Headers, socket: bool) -> str | None:
        host = headers.get("host", "").lower()
        if not self._known(host):
            return f"This service is not known as {host}; PENSTOCK_ALLOWED_HOSTS may name it"
        origin = headers.get("origin", "").lower()
        if not socket or not origin or self._origins & {origin, ANY}:
            return None
        if urlsplit(origin).netloc == host:
            return None
        return f"Pages of {origin} may not connect; PENSTOCK_CORS_ORIGINS may name them"

    def _known(self, host: str) -> bool:
        if self._hosts is None:
            return True
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name.endswith(".localhost") or self._hosts & {name, ANY}:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True
