"""Subscribers of a shared stream that read when they may, and an encoder that counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from domain.messages import Delivery, MessageBatch
from domain.positions import Position
from infra.realtime.sharing import Shares
from infra.realtime.streams import MessageStream
from tests.infra.realtime.world import StillClock, World, everything

EVERY = Delivery()


class Encoder:
    """Encodes an event as what a test wants to read of it, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0
        self.events: list[Any] = []

    def __call__(self, event: Any) -> bytes:
        self.calls += 1
        self.events.append(event)
        return str(len(self.events) - 1).encode()


def stream(
    world: World, *instruments: str, after: Position | None = None, delivery: Delivery = EVERY
) -> MessageStream:
    return MessageStream(world.hub, StillClock(), everything(*instruments), delivery, after, world)


class Subscriber:
    """Reads a shared subscription as fast as it is allowed to."""

    def __init__(self, shares: Shares, stream: MessageStream, encoder: Encoder) -> None:
        self.encoder = encoder
        self.events: list[Any] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.task = asyncio.create_task(self._read(shares.subscribe("rights", stream, encoder)))

    async def _read(self, payloads: AsyncIterator[list[bytes]]) -> None:
        async with aclosing(payloads) as batches:  # type: ignore[type-var]
            async for batch in batches:
                self.events += [self.encoder.events[int(payload)] for payload in batch]
                await self.may_read.wait()

    @property
    def ids(self) -> list[int]:
        return [m.id for e in self.events if isinstance(e, MessageBatch) for m in e.messages]

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})
