"""Serves one synthetic stream three ways: as Penstock does, by Strawberry's own handler, and by a bare broadcast."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import uvloop
from strawberry.asgi import GraphQL

from domain.identity import Caller, Permission, Viewer
from domain.messages import Message, MessageFilter
from domain.positions import Minter, Position
from infra.realtime.announcement import Announcement, Row
from infra.realtime.hub import Hub
from infra.realtime.sharing import Shares
from infra.realtime.statuses import StatusBoard
from infra.realtime.streams import Feed
from infra.startup import listen
from infra.system import SystemClock
from infra.web.documents import Documents
from infra.web.entrance import Entrance
from infra.web.errors import ErrorFormatter
from infra.web.metrics import Metrics
from infra.web.operations import Operations
from infra.web.server import serving
from infra.web.websocket import WebSocketEndpoint
from resolvers.context import Context
from schema.root import schema
from tests.factories import HOME_WORKSPACE_ID
from tests.infra.web.serving import Anybody

INSTRUMENT = "BTC-USDT"
CONNECTOR = UUID(int=7)


class NoArchive:
    """A stream without a past."""

    async def may_read(self, workspace_id: UUID) -> bool:
        return True

    async def position(self) -> Position:
        return Position()

    async def dropped(self) -> Position:
        return Position()

    async def rows_between(self, node: int, after: int, upto: int, limit: int) -> list[Row]:
        return []

    async def replay(
        self, filter: MessageFilter, after: Position, upto: Position
    ) -> AsyncIterator[list[Message]]:
        for nothing in ():
            yield nothing


class Producer:
    """Announces `ticks` messages `rate` times a second."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.ticks = 1
        self.listeners: list[Any] = []
        self._minter = Minter(1)
        self._last = 0

    def announcement(self) -> Announcement:
        now = datetime.now(UTC)
        rows = []
        previous = self._last
        for number in range(self.ticks):
            self._last = self._minter.mint(int(time.time() * 1000))
            price = Decimal(6_890_000 + number) / 100
            rows.append(
                (
                    self._last, HOME_WORKSPACE_ID, CONNECTOR, "binance", INSTRUMENT, "trade", price,
                    Decimal("0.0150"), "buy", str(self._last), now, now, "{}", None,
                )
            )  # fmt: skip
        return Announcement(1, previous, self._last, now, rows)

    async def run(self) -> None:
        due = time.monotonic()
        while True:
            if not self.rate:
                await asyncio.sleep(0.05)
                due = time.monotonic()
                continue
            due = max(due + 1 / self.rate, time.monotonic() - 0.1)
            await asyncio.sleep(max(due - time.monotonic(), 0))
            announcement = self.announcement()
            for listener in self.listeners:
                listener(announcement)


class Broadcast:
    """The floor: the bytes Penstock sends, to every socket, by as little ASGI code as will do."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._queues: set[asyncio.Queue[str]] = set()

    def offer(self, announcement: Announcement) -> None:
        text = self._frame(announcement)
        for queue in self._queues:
            queue.put_nowait(text)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues.add(queue)
        # What is not received holds up what comes behind it, the pongs that keep the socket open too.
        hearing = asyncio.create_task(self._hear(receive))
        try:
            while True:
                await send({"type": "websocket.send", "text": await queue.get()})
        finally:
            hearing.cancel()
            self._queues.discard(queue)

    async def _hear(self, receive: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass


def frame(announcement: Announcement) -> str:
    """What Penstock's clients get of an announcement."""
    published = announcement.published_at.isoformat().replace("+00:00", "Z")
    messages = ",".join(
        f'{{"instrument":"{row[4]}","price":"{row[6]}","quantity":"{row[7]}","side":"BUY",'
        f'"eventTime":"{published}"}}'
        for row in announcement.rows
    )
    return (
        '{"id":"1","type":"next","payload":{"data":{"messages":{"publishedAt":"'
        f'{published}","messages":[{messages}]}}}}}}}}'
    )


async def main(mode: str) -> None:
    """Serve until stdin ends; a line of stdin is `events-per-second ticks-per-event`."""
    clock, producer = SystemClock(), Producer()
    archive = NoArchive()
    hub = Hub(archive, clock)

    async def no_statuses(*_: Any) -> list[Any]:
        return []

    board = StatusBoard(no_statuses)
    services: Any = SimpleNamespace(feed=Feed(hub, board, clock, lambda _: archive))
    viewer = Viewer(HOME_WORKSPACE_ID, permissions=frozenset({Permission.READ_DATA}))
    context = Context(Caller(viewer, "bench"), services)
    application: Any
    if mode == "penstock":
        core = schema._schema
        shares = Shares(outbox_events=1024, outbox_bytes=8 << 20)
        operations = Operations(
            core,
            Documents(core),
            lambda caller: Context(caller, services),
            shares,
            ErrorFormatter(),
            Metrics(),
        )
        application = WebSocketEndpoint(operations, Entrance(Anybody(viewer)))
    elif mode == "strawberry":

        class Handler(GraphQL[Any, Any]):
            async def get_context(self, request: Any, response: Any) -> Any:
                return context

        application = Handler(schema, subscription_protocols=["graphql-transport-ws"])
    else:
        application = Broadcast(frame)
        producer.listeners.append(application.offer)
    async with AsyncExitStack() as stack:
        listener = listen("127.0.0.1", 0)
        await hub.start()
        stack.push_async_callback(hub.stop)
        producer.listeners.append(hub.receive)
        task = asyncio.create_task(producer.run())
        stack.callback(task.cancel)
        await stack.enter_async_context(serving(application, listener))
        print(listener.getsockname()[1], flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            rate, ticks = line.split()
            producer.ticks, producer.rate = int(ticks), float(rate)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
