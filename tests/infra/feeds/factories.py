"""Connectors, sources and an intake to test the runtime with; the sources are real servers on 127.0.0.1."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from websockets.asyncio.server import ServerConnection, serve

from domain.connectors import Connector, ConnectorProtocol, Secrets, Venue
from domain.messages import MessageType, Tick
from infra.feeds.arrival import Arrival, Lease
from infra.feeds.backoff import Backoff
from infra.feeds.budget import RateBudget
from infra.feeds.guard import Guard
from infra.feeds.receiver import Receiver
from infra.feeds.rest import Fetcher, Poller, PollOptions
from infra.feeds.socket import SocketOptions, SocketReader
from infra.feeds.status import StatusKeeper
from infra.feeds.venues import normalise
from infra.system import RandomIds, SystemClock
from tests.factories import HOME_WORKSPACE_ID

QUICK = Backoff(base_seconds=0.01, cap_seconds=0.02)
SOCKET = SocketOptions(
    open_seconds=2.0, close_seconds=0.2, watch_seconds=0.05, pace_seconds=0.01, backoff=QUICK
)
POLL = PollOptions(
    connect_seconds=1.0,
    read_seconds=1.0,
    request_seconds=2.0,
    response_limit_bytes=100_000,
    backoff=QUICK,
)

FRAME_LIMIT = 10_000


def a_connector(url: str, **changes: Any) -> Connector:
    now = datetime.now(UTC)
    facts: dict[str, Any] = {
        "id": uuid4(),
        "workspace_id": HOME_WORKSPACE_ID,
        "name": f"source {uuid4()}",
        "url": url,
        "protocol": ConnectorProtocol.WEBSOCKET if url.startswith("ws") else ConnectorProtocol.REST,
        "venue": Venue.BINANCE,
        "enabled": True,
        "polling_interval_ms": None if url.startswith("ws") else 100,
        "created_at": now,
        "updated_at": now,
    }
    return Connector(**facts | changes)


def a_lease(connector: Connector, **changes: Any) -> Lease:
    facts: dict[str, Any] = {
        "connector_id": connector.id,
        "workspace_id": connector.workspace_id,
        "holder": uuid4(),
        "epoch": 1,
        "version": connector.version,
    }
    return Lease(**facts | changes)


def a_trade(number: int, symbol: str = "BTCUSDT") -> bytes:
    trade = {"e": "trade", "E": 1672515782136, "s": symbol, "t": number, "p": "0.001", "q": "100"}
    return json.dumps(trade | {"T": 1672515782136, "m": True, "M": True}).encode()


def a_tick(key: str | None, run: tuple[str, int, int] | None = None) -> Tick:
    return Tick(
        exchange="binance",
        instrument="BTC-USDT",
        type=MessageType.TRADE,
        price=None,
        quantity=None,
        side=None,
        sequence=None,
        event_time=None,
        data="{}",
        key=key,
        run=run,
    )


class Shelf:
    """An intake that keeps what it gets; `room` limits how much it takes before it makes the reader wait."""

    def __init__(self, room: int | None = None) -> None:
        self.arrivals: list[Arrival] = []
        self._room = room
        self._changed = asyncio.Condition()

    async def put(self, arrival: Arrival) -> None:
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._room is None or len(self.arrivals) < self._room
            )
            self.arrivals.append(arrival)
            self._changed.notify_all()

    async def make_room(self, room: int | None) -> None:
        async with self._changed:
            self._room = room
            self._changed.notify_all()

    async def wait_for(self, count: int, seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(self.arrivals) >= count)

    def of(self, connector: Connector) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.connector_id == connector.id]

    @property
    def sequences(self) -> list[str | None]:
        return [tick.sequence for arrival in self.arrivals for tick in arrival.ticks]


async def eventually(holds: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


@dataclass
class States:
    """A keeper that remembers every state it was in."""

    seen: list[str] = field(default_factory=list)

    def keeper(self, connector: Connector, secrets: Secrets | None = None) -> StatusKeeper:
        keeper = StatusKeeper(
            a_lease(connector),
            None,
            SystemClock(),
            lambda keeper: self.seen.append(keeper.state.name),
        )
        keeper.hide(secrets or Secrets())
        return keeper


@dataclass
class Reading:
    """A connector being read."""

    connector: Connector
    shelf: Shelf
    keeper: StatusKeeper
    states: list[str]


@asynccontextmanager
async def reading(
    connector: Connector,
    secrets: Secrets | None = None,
    *,
    shelf: Shelf | None = None,
    guard: Guard | None = None,
    budget: RateBudget | None = None,
    socket: SocketOptions = SOCKET,
    poll: PollOptions = POLL,
    frame_limit: int = FRAME_LIMIT,
) -> AsyncIterator[Reading]:
    """Run a connector's reader, without leases, for as long as the block lasts."""
    from domain.connectors import ConnectorEvent

    states = States()
    secrets, shelf = secrets or Secrets(), shelf or Shelf()
    guard, clock = guard or Guard(allow_private=True), SystemClock()
    keeper = states.keeper(connector, secrets)
    receiver = Receiver(
        connector,
        secrets,
        keeper.lease,
        keeper,
        shelf,
        normalise,
        clock,
        RandomIds(),
        frame_limit,
    )
    reader: SocketReader | Poller
    if connector.protocol is ConnectorProtocol.WEBSOCKET:
        reader = SocketReader(connector, secrets, receiver, keeper, guard, clock, socket)
    else:
        fetcher = Fetcher(connector, secrets, guard, budget or RateBudget(1000), clock, poll)
        reader = Poller(connector, fetcher, receiver, keeper, poll)
    keeper.happened(ConnectorEvent.STARTED)
    task = asyncio.create_task(reader.run())
    try:
        yield Reading(connector, shelf, keeper, states.seen)
    finally:
        task.cancel()
        await asyncio.wait([task])


@dataclass
class Exchange:
    """A WebSocket server; `heard` has every text it was sent, by connection."""

    url: str
    connections: list[ServerConnection] = field(default_factory=list)
    heard: list[list[str]] = field(default_factory=list)


@asynccontextmanager
async def an_exchange(
    play: Callable[[ServerConnection, Exchange], Awaitable[None]] | None = None, **options: Any
) -> AsyncIterator[Exchange]:
    """Serve WebSockets: each connection is played to while what it says is noted."""
    exchange = Exchange("")

    async def handle(connection: ServerConnection) -> None:
        exchange.connections.append(connection)
        heard: list[str] = []
        exchange.heard.append(heard)

        async def listen() -> None:
            async for message in connection:
                heard.append(str(message))

        listening = asyncio.create_task(listen())
        try:
            if play is not None:
                await play(connection, exchange)
            await connection.wait_closed()
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            if not listening.cancelled():
                listening.exception()

    async with serve(handle, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        scheme = "wss" if "ssl" in options else "ws"
        exchange.url = f"{scheme}://127.0.0.1:{port}"
        yield exchange


@dataclass(frozen=True)
class Asked:
    """A request as a source received it; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Source:
    """An HTTP server; `asked` has every request."""

    url: str
    asked: list[Asked] = field(default_factory=list)


Answer = tuple[int, dict[str, str], bytes]


@asynccontextmanager
async def a_source(
    answer: Callable[[Asked, Source], Answer | Awaitable[Answer]],
) -> AsyncIterator[Source]:
    """Serve HTTP/1.1, one request a connection."""
    source = Source("")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            method, target, _ = first.split(" ")
            headers = dict(line.split(": ", 1) for line in lines)
            headers = {name.lower(): value for name, value in headers.items()}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            asked = Asked(method, target, headers, body, asyncio.get_running_loop().time())
            source.asked.append(asked)
            given = answer(asked, source)
            status, added, content = given if isinstance(given, tuple) else await given
            sent = {"Content-Length": str(len(content)), "Connection": "close"} | added
            text = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
            writer.write(f"HTTP/1.1 {status} It\r\n{text}\r\n".encode() + content)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        source.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield source


def ids(connectors: list[Connector]) -> set[UUID]:
    return {connector.id for connector in connectors}


async def trade_by_trade(connection: ServerConnection, exchange: Exchange) -> None:
    first = 100 * len(exchange.connections)
    for number in range(first, first + 3):
        await connection.send(a_trade(number))
