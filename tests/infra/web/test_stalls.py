"""Clients that keep their connection but neither read nor answer hold nothing for long."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from domain.identity import Permission, Viewer
from infra.realtime.sharing import Shares
from infra.realtime.statuses import StatusBoard
from infra.realtime.streams import Feed
from infra.web.documents import Documents
from infra.web.entrance import Entrance
from infra.web.errors import ErrorFormatter
from infra.web.http import GraphQLEndpoint
from infra.web.metrics import Metrics
from infra.web.operations import Operations
from infra.web.server import serving
from infra.web.websocket import WebSocketEndpoint
from resolvers.context import Context
from schema.root import schema
from tests.infra.realtime.world import WORKSPACE, StillClock, World
from tests.infra.web.serving import Anybody

WIDE = " ".join(f"d{at}: exchange" for at in range(150))
QUERY = f"subscription {{ messages {{ ... on MessageBatch {{ messages {{ {WIDE} }} }} }} }}"
HANDSHAKE = (
    "GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


@asynccontextmanager
async def following(first: bytes, *then: bytes) -> AsyncIterator[Shares]:
    """A service at full speed, and a client that says this much and does no more."""
    world, shares, metrics = World(), Shares(outbox_events=64, outbox_bytes=1 << 20), Metrics()
    feed = Feed(world.hub, StatusBoard(nothing), StillClock(), world.seen_by)
    services: Any = SimpleNamespace(feed=feed)
    reader = Viewer(WORKSPACE, permissions=frozenset({Permission.READ_DATA}))
    graphql: Any = schema._schema
    operations = Operations(
        graphql,
        Documents(graphql),
        lambda caller: Context(caller, services),
        shares,
        ErrorFormatter(),
        metrics,
    )
    entrance = Entrance(Anybody(reader))
    http = GraphQLEndpoint(operations, entrance, metrics, stall_seconds=0.5)
    sockets = WebSocketEndpoint(operations, entrance)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await (http if scope["type"] == "http" else sockets)(scope, receive, send)

    await world.hub.start()
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(application, listener, ping_seconds=0.5):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, listener.getsockname())
            for said in (first, *then):
                await loop.sock_sendall(client, said)
                await loop.sock_recv(client, 4096)
            while not shares.subscribers:
                await asyncio.sleep(0.01)
            for _ in range(60):
                world.hub.receive(world.commit(1, *["X"] * 200))
                await asyncio.sleep(0.01)
            yield shares
    await world.hub.stop()


async def nothing(*_: Any) -> list[Any]:
    return []


def frame(**message: Any) -> bytes:
    """A text frame of a client, under a mask of zeros."""
    body = json.dumps(message).encode()
    return bytes([0x81, 0x80 | 126]) + len(body).to_bytes(2, "big") + bytes(4) + body


async def left(shares: Shares) -> None:
    async with asyncio.timeout(10):
        while shares.subscribers:
            await asyncio.sleep(0.05)


async def test_a_socket_that_answers_no_ping_is_dropped_with_all_that_waits_for_it() -> None:
    subscribe = frame(type="subscribe", id="1", payload={"query": QUERY})
    init = frame(type="connection_init")
    async with following(HANDSHAKE.encode(), init, subscribe) as shares:
        await left(shares)


async def test_a_stream_that_is_not_read_is_dropped_with_all_that_waits_for_it() -> None:
    body = json.dumps({"query": QUERY}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with following(head.encode() + body) as shares:
        await left(shares)
