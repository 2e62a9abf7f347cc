"""Each subscription is executed and encoded once for all subscribers who get the same bytes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from typing import Any

from loguru import logger

from domain.messages import GapReason
from domain.positions import Position
from infra.realtime.outbox import Loss, Outbox, Sendable
from infra.realtime.sources import Live, Mark
from infra.realtime.streams import Stream

Encode = Callable[[Any], bytes | Awaitable[bytes]]

ENCODE_SECONDS = 30.0
CATCH_UPS = 20


class Stopping(Exception):
    """The service stops; its subscribers may come back, and go on from their cursors."""


async def encoded(encode: Encode, event: Any) -> bytes:
    """An event's bytes, awaited when its fields need loading."""
    payload = encode(event)
    if isinstance(payload, bytes):
        return payload
    async with asyncio.timeout(ENCODE_SECONDS):
        return await payload


class Share:
    """One topic's live half, executed for one selection, and the outboxes of its subscribers."""

    def __init__(self, stream: Stream, encode: Encode) -> None:
        self.members: set[Outbox] = set()
        self._reached: set[Outbox] = set()
        self._stream = stream
        self._at = Position()
        self._source = stream.source()
        self._encode = encode
        self._source.open()
        self._task = asyncio.create_task(self._run(), name="shared-subscription")

    @property
    def ended(self) -> bool:
        """Whether it broke; its subscribers have been told."""
        return self._task.done()

    def join(self, outbox: Outbox) -> None:
        """Send `outbox` all that comes from this moment on."""
        self.members.add(outbox)
        outbox.open(self._source.mark(outbox))

    def leave(self, outbox: Outbox) -> None:
        """Send it nothing more."""
        self.members.discard(outbox)
        self._reached.discard(outbox)

    def close(self) -> None:
        """End the live half."""
        self._task.cancel()
        self._source.close()

    async def _run(self) -> None:
        try:
            async for item in self._source:
                if isinstance(item, Mark):
                    if item.who in self.members:
                        self._reached.add(item.who)
                        self._at = item.who.joined
                elif self._reached:
                    await self._send(item)
        except Exception as error:  # noqa: BLE001 - told to the subscribers, who may come back
            logger.opt(exception=True).error("A shared subscription broke")
            for outbox in self.members:
                outbox.fail(error)
        finally:
            self._source.close()

    async def _send(self, live: Live) -> None:
        try:
            payload = await encoded(self._encode, live.event)
        except Exception:  # noqa: BLE001 - this event is told as a gap, those after it go out
            logger.opt(exception=True).error("An event of a shared subscription could not be made")
            if live.key is not None:
                return
            loss = Loss(self._at, live.position, live.count)
            gap = self._stream.lost(loss, GapReason.OVERLOAD)
            payload = await encoded(self._encode, gap)
        self._at = live.position
        event = Sendable(payload, live.position, live.key, live.count, live.newest_id)
        for outbox in self._reached:
            outbox.offer(event)
        await asyncio.sleep(0)


class Shares:
    """All shared subscriptions of this process."""

    def __init__(self, *, outbox_events: int, outbox_bytes: int) -> None:
        self._outbox_events = outbox_events
        self._outbox_bytes = outbox_bytes
        self._shares: dict[Hashable, Share] = {}
        self._stopping = False
        self.subscribers = 0
        self.deliveries = 0
        self.lost_messages = 0

    @property
    def waiting(self) -> int:
        """Events that wait for their subscribers to read them."""
        return sum(outbox.waiting for share in self._shares.values() for outbox in share.members)

    async def subscribe(
        self, rights: Hashable, stream: Stream, encode: Encode, shared: Encode | None = None
    ) -> AsyncGenerator[list[bytes], None]:
        """One subscriber's encoded events, all that wait at a time, until it is closed.

        `rights` tells apart what must not share an execution: selection, variables, what the viewer may see.
        What is this subscriber's alone is encoded by `encode`, what all get by the `shared` of the first of them.
        Raises Stopping.
        """
        shared = shared or encode
        await stream.ready()
        if self._stopping:
            raise Stopping
        key = (rights, stream.topic)
        outbox = Outbox(self._outbox_events, self._outbox_bytes)
        share = self._share(key, stream, shared)
        share.join(outbox)
        self.subscribers += 1
        try:
            async for event in stream.beginning(outbox.joined):
                yield [await encoded(encode, event)]
            for _ in range(CATCH_UPS):
                if not outbox.lossy:
                    break
                caught_up = outbox.joined
                share.leave(outbox)
                share = self._share(key, stream, shared)
                share.join(outbox)
                async for event in stream.between(caught_up, outbox.joined):
                    yield [await encoded(encode, event)]
            while True:
                payloads, loss = await outbox.take()
                if payloads:
                    self.deliveries += len(payloads)
                    yield payloads
                if loss is not None:
                    self.lost_messages += loss.missed
                    yield [await encoded(encode, stream.lost(loss, GapReason.SLOW_CONSUMER))]
        finally:
            self.subscribers -= 1
            share.leave(outbox)
            self._forget(key, share)

    async def close(self) -> None:
        """End all live halves and tell their subscribers."""
        self._stopping = True
        for share in self._shares.values():
            share.close()
            for outbox in share.members:
                outbox.fail(Stopping())
        self._shares.clear()

    def _share(self, key: Hashable, stream: Stream, encode: Encode) -> Share:
        share = self._shares.get(key)
        if share is None or share.ended:
            share = self._shares[key] = Share(stream, encode)
        return share

    def _forget(self, key: Hashable, share: Share) -> None:
        if share.members:
            return
        share.close()
        if self._shares.get(key) is share:
            del self._shares[key]
