import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.messages import Delivery, DeliveryMode, Gap, GapReason, MessageBatch
from domain.positions import Position
from infra.realtime.announcement import Announcement
from infra.realtime.outbox import Outbox
from infra.realtime.sharing import Shares
from infra.realtime.sources import INBOX_MESSAGES
from infra.realtime.streams import MessageStream, alone
from tests.infra.realtime.world import START, StillClock, World, everything, settle

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


async def test_a_commit_larger_than_a_source_holds_is_a_gap_and_the_next_one_arrives() -> None:
    world, shares = World(), Shares(outbox_events=100, outbox_bytes=1 << 20)
    await world.hub.start()
    reader = Subscriber(shares, stream(world), Encoder())
    await settle()
    first, *_ = world.commit(1, "X").rows
    id = first[0]
    huge = Announcement(1, 0, id, START, [first] * (INBOX_MESSAGES + 1))
    world.hub.receive(huge)
    await settle()
    world.hub.receive(world.commit(1, "X"))
    await settle()
    began, gap, batch = reader.events
    assert began.messages == []
    assert (gap.reason, gap.missed) == (GapReason.OVERLOAD, INBOX_MESSAGES + 1)
    assert (gap.after, gap.before) == (Position().encode(), Position({1: id}).encode())
    assert len(batch.messages) == 1
    await reader.leave()
    await shares.close()
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


async def test_a_replay_that_is_overtaken_goes_on_from_the_database_instead_of_a_gap() -> None:
    world, shares, encoder = World(), Shares(outbox_events=2, outbox_bytes=10**6), Encoder()
    world.commit(1, "X", "X")
    await world.hub.start()
    reader = Subscriber(shares, stream(world, after=Position()), encoder)
    reader.may_read.clear()
    await settle()
    for _ in range(10):
        world.hub.receive(world.commit(1, "X"))
        await settle()
    assert len(reader.ids) == 1
    reader.may_read.set()
    for _ in range(5):
        await settle()
    assert reader.ids == [row[0] for row in world.rows]
    await reader.leave()
    await world.hub.stop()


async def test_who_leaves_before_the_live_half_begins_is_not_written_to() -> None:
    world, shares = World(), Shares(outbox_events=100, outbox_bytes=10**6)
    await world.hub.start()
    stays = Subscriber(shares, stream(world, "X"), Encoder())
    await settle()
    (share,) = shares._shares.values()
    outbox = Outbox(10, 1000)
    share.join(outbox)
    share.leave(outbox)
    await settle()
    world.hub.receive(world.commit(1, "X"))
    await settle()
    assert not outbox._queue
    assert len(stays.ids) == 1
    await stays.leave()
    await world.hub.stop()


STEPS = ["commit", "commit", "announce", "away", "back", "back reading slowly", "stall", "read on"]


@pytest.mark.parametrize("slow_encoding", [False, True])
@settings(max_examples=150, deadline=None)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=40), pace=st.integers(1, 4))
@example(steps=["away", "commit", "commit", "announce", "back reading slowly", "away"], pace=1)
def test_a_reader_that_comes_and_goes_gets_each_message_once_or_is_told(
    slow_encoding: bool, steps: list[str], pace: int
) -> None:
    asyncio.run(Visits(slow_encoding).run(steps, pace))


class SlowEncoder(Encoder):
    """Loads something for every event, so that events meet in the inbox."""

    def __call__(self, event: Any) -> Any:
        return self._slowly(event)

    async def _slowly(self, event: Any) -> bytes:
        for _ in range(30):
            await asyncio.sleep(0)
        return super().__call__(event)


class Visits:
    """One reader through any interleaving of commits, announcements, disconnects and stalls."""

    def __init__(self, slow_encoding: bool) -> None:
        self.world = World()
        self.shares = Shares(outbox_events=2, outbox_bytes=10**6)
        self.encoder = SlowEncoder() if slow_encoding else Encoder()
        self.unannounced: list[Any] = []
        self.position = Position()
        self.seen: list[int] = []
        self.gaps: list[tuple[Position, Position]] = []
        self.reader: Subscriber | None = None

    async def run(self, steps: list[str], pace: int) -> None:
        await self.world.hub.start()
        # Somebody else follows too, so that the reader meets a live half that is already running.
        other = Subscriber(self.shares, stream(self.world), self.encoder)
        for number, step in enumerate(["back", *steps, "announce", "back", "read on"]):
            await self.take(step, number)
            if number % pace == 0:
                await settle()
        for _ in range(30):
            await settle()
        await self.leave()
        await other.leave()
        self.check()
        await self.world.hub.stop()

    async def take(self, step: str, number: int) -> None:
        match step:
            case "commit":
                self.unannounced.append(self.world.commit(number % 2, "X"))
            case "announce":
                for announcement in self.unannounced:
                    self.world.hub.receive(announcement)
                self.unannounced.clear()
            case "stall" if self.reader:
                self.reader.may_read.clear()
            case "read on" if self.reader:
                self.reader.may_read.set()
            case "away" if self.reader:
                await self.leave()
            case "back" | "back reading slowly" if not self.reader:
                again = stream(self.world, after=self.position)
                self.reader = Subscriber(self.shares, again, self.encoder)
                if step != "back":
                    self.reader.may_read.clear()

    async def leave(self) -> None:
        if self.reader is None:
            return
        await self.reader.leave()
        self.seen += self.reader.ids
        for event in self.reader.events:
            if isinstance(event, Gap):
                gap = (Position.decode(event.after or ""), Position.decode(event.before))
                self.gaps.append(gap)
                self.position = gap[1]
            else:
                self.position = event.position
        self.reader = None

    def check(self) -> None:
        assert len(self.seen) == len(set(self.seen))
        for row in self.world.rows:
            told = any(not after.has(row[0]) and before.has(row[0]) for after, before in self.gaps)
            assert (row[0] in self.seen) != told


@pytest.mark.parametrize(
    "delivery", [Delivery(DeliveryMode.LATEST), Delivery(DeliveryMode.SAMPLE, 10)]
)
@settings(max_examples=40, deadline=None)
@given(
    before=st.lists(st.sampled_from("XYZ"), max_size=12),
    away=st.lists(st.sampled_from("XYZ"), max_size=6),
    pace=st.integers(1, 5),
)
def test_latest_and_sample_end_with_the_newest_of_each_instrument_over_a_resume(
    delivery: Delivery, before: list[str], away: list[str], pace: int
) -> None:
    asyncio.run(_resume_newest(delivery, before, away, pace))


async def _resume_newest(delivery: Delivery, before: list[str], away: list[str], pace: int) -> None:
    world, shares, encoder = World(), Shares(outbox_events=100, outbox_bytes=10**6), Encoder()
    await world.hub.start()
    first = Subscriber(shares, stream(world, delivery=delivery), encoder)
    await settle()
    for number, instrument in enumerate(before):
        world.hub.receive(world.commit(1, instrument))
        if number % pace == 0:
            await settle()
    await settle()
    await first.leave()
    for instrument in away:
        world.hub.receive(world.commit(1, instrument))
    cursor = first.events[-1].position
    second = Subscriber(shares, stream(world, delivery=delivery, after=cursor), encoder)
    await settle()
    newest = {row[4]: row[0] for row in world.rows}
    seen: dict[str, int] = {}
    for event in [*first.events, *second.events]:
        seen |= {message.instrument: message.id for message in event.messages}
    assert seen == newest
    await second.leave()
    await world.hub.stop()
