"""GraphQL over WebSocket: the graphql-transport-ws protocol, as plain ASGI."""

import asyncio

from starlette.types import Receive, Scope, Send

from infra.web.connection import MESSAGES_PER_MINUTE, OPERATIONS_PER_SOCKET, Connection, Way
from infra.web.crowd import Crowd, Place, TooMany
from infra.web.entrance import Entrance
from infra.web.limits import network
from infra.web.operations import Operations
from infra.web.protocol import SUBPROTOCOL, SUBPROTOCOL_UNACCEPTABLE, TOO_MANY_SOCKETS

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
        crowd: Crowd | None = None,
        operations_per_socket: int = OPERATIONS_PER_SOCKET,
        messages_per_minute: int = MESSAGES_PER_MINUTE,
    ) -> None:
        self._operations = operations
        self._entrance = entrance
        self._init_seconds = init_seconds
        self._token_parameter = token_parameter
        self._crowd = crowd or Crowd()
        self._operations_per_socket = operations_per_socket
        self._messages = messages_per_minute
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
        try:
            with self._crowd.place() as place:
                await self._serve(scope, receive, send, place)
        except TooMany as full:
            await send({"type": "websocket.close", "code": TOO_MANY_SOCKETS, "reason": str(full)})

    async def _serve(self, scope: Scope, receive: Receive, send: Send, place: Place) -> None:
        way = Way(
            scope,
            receive,
            send,
            self._token_parameter,
            place,
            self._operations_per_socket,
            self._messages,
        )
        place.belongs_to(network(way.address))  # until it says whose it is
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
