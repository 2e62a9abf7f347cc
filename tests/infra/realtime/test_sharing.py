import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.messages import Delivery, DeliveryMode, Gap, GapReason, MessageBatch
from domain.positions import Position
from infra.realtime.sharing import Shares
from infra.realtime.streams import MessageStream, alone
from tests.infra.realtime.world import StillClock, World, everything, settle

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
    return MessageStream(world.hub, StillClock(), everything(*instruments), delivery, after)


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


async def test_subscribers_of_the_same_selection_share_one_encoding() -> None:
    world, shares, encoder = World(), Shares(outbox_events=100, outbox_bytes=10**6), Encoder()
    await world.hub.start()
    subscribers = [Subscriber(shares, stream(world, "X"), encoder) for _ in range(10)]
    await settle()
    begun = encoder.calls
    world.hub.receive(world.commit(1, "X", "Y", "X"))
    await settle()
    assert encoder.calls == begun + 1
    assert all(one.ids == [world.rows[0][0], world.rows[2][0]] for one in subscribers)
    for one in subscribers:
        await one.leave()
    assert shares.subscribers == 0
    await world.hub.stop()


async def test_the_last_to_leave_ends_the_shared_execution() -> None:
    world, shares = World(), Shares(outbox_events=100, outbox_bytes=10**6)
    await world.hub.start()
    first, second = (Subscriber(shares, stream(world, "X"), Encoder()) for _ in range(2))
    await settle()
    await first.leave()
    assert world.hub._by_instrument
    await second.leave()
    assert not world.hub._by_instrument
    await world.hub.stop()


async def test_a_subscription_without_cursor_begins_with_an_empty_batch_and_loses_nothing() -> None:
    world, shares = World(), Shares(outbox_events=100, outbox_bytes=10**6)
    world.commit(1, "X")
    await world.hub.start()
    one = Subscriber(shares, stream(world, "X"), Encoder())
    await settle()
    acknowledged = one.events[0]
    assert acknowledged.messages == []
    assert acknowledged.position == Position(world.last)
    world.hub.receive(world.commit(1, "X"))
    await settle()
    assert one.ids == [world.rows[1][0]]
    await one.leave()
    await world.hub.stop()


async def test_a_slow_reader_gets_a_gap_and_costs_the_others_nothing() -> None:
    world, shares, encoder = World(), Shares(outbox_events=3, outbox_bytes=10**6), Encoder()
    await world.hub.start()
    slow, quick = (Subscriber(shares, stream(world, "X"), encoder) for _ in range(2))
    await settle()
    slow.may_read.clear()
    for _ in range(10):
        world.hub.receive(world.commit(1, "X"))
        await settle()
    assert quick.ids == [row[0] for row in world.rows]
    slow.may_read.set()
    await settle()
    gaps = [event for event in slow.events if isinstance(event, Gap)]
    assert [gap.reason for gap in gaps] == [GapReason.SLOW_CONSUMER]
    assert gaps[0].missed == len(world.rows) - len(slow.ids)
    assert gaps[0].after is not None
    missed = [
        row[0]
        for row in world.rows
        if not Position.decode(gaps[0].after).has(row[0])
        and Position.decode(gaps[0].before).has(row[0])
    ]
    assert sorted(missed + slow.ids) == [row[0] for row in world.rows]
    for one in (slow, quick):
        await one.leave()
    await world.hub.stop()


async def test_a_cursor_older_than_retention_is_answered_with_a_gap() -> None:
    world, shares = World(), Shares(outbox_events=100, outbox_bytes=10**6)
    gone = world.commit(1, "X", "X")
    kept = world.commit(1, "X")
    world.rows = [row for row in world.rows if row[0] > gone.last_id]
    world.dropped_position = Position({1: gone.last_id})
    await world.hub.start()
    early = Position({1: gone.rows[0][0]})
    one = Subscriber(shares, stream(world, "X", after=early), Encoder())
    await settle()
    assert one.events[0].reason is GapReason.RETENTION
    assert Position.decode(one.events[0].before) == Position({1: gone.last_id})
    assert one.ids == [kept.last_id]
    await one.leave()
    await world.hub.stop()


async def test_a_cursor_from_another_life_of_the_database_is_answered_with_a_gap() -> None:
    world, shares = World(), Shares(outbox_events=100, outbox_bytes=10**6)
    world.commit(1, "X")
    await world.hub.start()
    beyond = Position({1: world.last[1] + 4096 * 1024})
    one = Subscriber(shares, stream(world, "X", after=beyond), Encoder())
    await settle()
    assert one.events[0].reason is GapReason.RESET
    await one.leave()
    await world.hub.stop()


async def test_latest_gives_the_slow_reader_the_newest_of_each_instrument() -> None:
    world, shares, encoder = World(), Shares(outbox_events=100, outbox_bytes=10**6), Encoder()
    await world.hub.start()
    latest = Delivery(DeliveryMode.LATEST)
    slow = Subscriber(shares, stream(world, delivery=latest), encoder)
    await settle()
    slow.may_read.clear()
    for _ in range(5):
        world.hub.receive(world.commit(1, "X", "Y"))
        await settle()
    seen = len(slow.ids)
    slow.may_read.set()
    await settle()
    assert slow.ids[seen:] == [row[0] for row in world.rows[-2:]]
    await slow.leave()
    await world.hub.stop()


async def test_sample_sends_at_most_one_per_instrument_and_interval_and_the_newest_in_the_end() -> (
    None
):
    world, shares, encoder = World(), Shares(outbox_events=100, outbox_bytes=10**6), Encoder()
    await world.hub.start()
    sample = Delivery(DeliveryMode.SAMPLE, 100)
    one = Subscriber(shares, stream(world, delivery=sample), encoder)
    await settle()
    for _ in range(20):
        world.hub.receive(world.commit(1, "X"))
        await settle()
    assert one.ids == [world.rows[0][0]]
    await asyncio.sleep(0.25)
    assert one.ids == [world.rows[0][0], world.rows[-1][0]]
    await one.leave()
    await world.hub.stop()


async def test_a_stream_can_be_read_alone() -> None:
    world = World()
    world.commit(1, "X")
    await world.hub.start()
    async with aclosing(alone(stream(world, "X", after=Position()))) as events:  # type: ignore[type-var]
        first = await anext(events)
        assert [message.id for message in first.messages] == [world.rows[0][0]]
        following = asyncio.ensure_future(anext(events))
        await settle()
        world.hub.receive(world.commit(2, "X"))
        assert [message.id for message in (await following).messages] == [world.rows[1][0]]
    await world.hub.stop()


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from(["commit", "commit", "announce", "away", "back", "stall"]), max_size=40
    )
)
def test_a_reader_that_resumes_gets_each_message_once(steps: list[str]) -> None:
    asyncio.run(_come_and_go(steps))


async def _come_and_go(steps: list[str]) -> None:
    """Any interleaving of commits, announcements, disconnects and stalls: once each, or told in a gap."""
    world, shares, encoder = World(), Shares(outbox_events=2, outbox_bytes=10**6), Encoder()
    await world.hub.start()
    unannounced: list[Any] = []
    position, seen, gaps = Position(), [], []
    one: Subscriber | None = Subscriber(shares, stream(world, after=position), encoder)

    def collect(subscriber: Subscriber) -> Position:
        seen.extend(subscriber.ids)
        reached = position
        for event in subscriber.events:
            if isinstance(event, Gap):
                gaps.append((Position.decode(event.after or ""), Position.decode(event.before)))
                reached = Position.decode(event.before)
            else:
                reached = event.position
        return reached

    for number, step in enumerate([*steps, "announce", "back", "flow"]):
        match step:
            case "commit":
                unannounced.append(world.commit(number % 2, "X"))
            case "announce":
                for announcement in unannounced:
                    world.hub.receive(announcement)
                unannounced.clear()
            case "stall" if one is not None:
                one.may_read.clear()
            case "away" if one is not None:
                one.may_read.set()
                await one.leave()
                position, one = collect(one), None
            case "back" if one is None:
                one = Subscriber(shares, stream(world, after=position), encoder)
        if number % 3:
            await settle()
    assert one is not None
    one.may_read.set()
    for _ in range(5):
        await settle()
    await one.leave()
    collect(one)
    assert len(seen) == len(set(seen))
    for row in world.rows:
        told = any(not after.has(row[0]) and before.has(row[0]) for after, before in gaps)
        assert (row[0] in seen) != told
    await world.hub.stop()
