"""GraphQL over WebSocket: the graphql-transport-ws protocol, as plain ASGI."""

import asyncio

from starlette.types import Receive, Scope, Send

from infra.web.connection import Connection, Way
from infra.web.entrance import Entrance
from infra.web.operations import Operations
from infra.web.protocol import SUBPROTOCOL, SUBPROTOCOL_UNACCEPTABLE

INIT_SECONDS = 10.0


class WebSocketEndpoint:
    """Serves `graphql-transport-ws` on one path; tokens in its URL are read only with `token_parameter`."""

    def __init__(
        self,
        operations: Operations,
        entrance: Entrance,
        init_seconds: float = INIT_SECONDS,
        *,
        token_parameter: bool = False,
    ) -> None:
        self._operations = operations
        self._entrance = entrance
        self._init_seconds = init_seconds
        self._token_parameter = token_parameter
        self._connections: set[Connection] = set()

    @property
    def open_sockets(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept a client and serve it until it leaves."""
        await receive()
        if SUBPROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await send(
                {
                    "type": "websocket.close",
                    "code": SUBPROTOCOL_UNACCEPTABLE,
                    "reason": f"Subprotocol not acceptable: use {SUBPROTOCOL}",
                }
            )
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        way = Way(scope, receive, send, self._token_parameter)
        connection = Connection(self._operations, self._entrance, way)
        self._connections.add(connection)
        self._entrance.enter(connection)
        try:
            await connection.serve(self._init_seconds)
        finally:
            self._entrance.leave(connection)
            self._connections.discard(connection)

    async def close(self) -> None:
        """Tell every client that the service goes away."""
        await asyncio.gather(
            *(connection.go_away() for connection in self._connections), return_exceptions=True
        )
