"""Clients for a replayer under test: real sockets, everything with a timeout."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from infra.replay.options import ReplayOptions
from infra.replay.server import Replayer


@asynccontextmanager
async def replaying(**options: Any) -> AsyncIterator[Replayer]:
    async with Replayer(ReplayOptions(**options)) as replayer:
        yield replayer


@asynccontextmanager
async def listening(
    replayer: Replayer, venue: str, path: str = "", *requests: Any
) -> AsyncIterator[ClientConnection]:
    async with websockets.connect(
        replayer.url(venue, path), max_size=None, close_timeout=1, ping_interval=None
    ) as socket:
        for request in requests:
            await socket.send(request if isinstance(request, str) else json.dumps(request))
        yield socket


async def next_text(socket: ClientConnection, seconds: float = 5.0) -> Any:
    async with asyncio.timeout(seconds):
        return await socket.recv()


async def next_json(socket: ClientConnection, seconds: float = 5.0) -> Any:
    return json.loads(await next_text(socket, seconds))


async def take(socket: ClientConnection, count: int) -> list[Any]:
    return [await next_json(socket) for _ in range(count)]


async def silence(socket: ClientConnection, seconds: float) -> bool:
    """Whether nothing came for so long."""
    try:
        await next_text(socket, seconds)
    except TimeoutError:
        return True
    return False


async def until_silent(socket: ClientConnection, seconds: float) -> list[Any]:
    """All that comes until nothing has come for so long."""
    texts = []
    try:
        while True:
            texts.append(await next_text(socket, seconds))
    except TimeoutError:
        return texts


async def close_code(socket: ClientConnection, seconds: float = 5.0) -> int | None:
    """The code of the server's close, 1006 for a connection that broke."""
    async with asyncio.timeout(seconds):
        await socket.wait_closed()
    return socket.close_code


def binance_subscribe(*streams: str, id: int = 1) -> dict[str, Any]:
    return {"method": "SUBSCRIBE", "params": list(streams), "id": id}


def okx_subscribe(*channels: tuple[str, str]) -> dict[str, Any]:
    args = [{"channel": channel, "instId": instrument} for channel, instrument in channels]
    return {"op": "subscribe", "args": args}


def coinbase_subscribe(channels: list[str], *products: str) -> dict[str, Any]:
    return {"type": "subscribe", "product_ids": list(products), "channels": channels}
