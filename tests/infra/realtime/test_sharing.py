import asyncio
from contextlib import aclosing
from typing import Any

from domain.messages import Delivery, DeliveryMode, Gap, GapReason, MessageBatch
from domain.positions import Position
from infra.realtime.announcement import Announcement
from infra.realtime.outbox import Outbox
from infra.realtime.sharing import Shares, Stopping
from infra.realtime.sources import INBOX_MESSAGES
from infra.realtime.streams import alone
from tests.infra.realtime.subscribers import Encoder, Subscriber, stream
from tests.infra.realtime.world import START, World, settle


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


async def test_when_the_service_stops_every_subscriber_hears_it_and_no_other_begins() -> None:
    world, shares = World(), Shares(outbox_events=100, outbox_bytes=1 << 20)
    await world.hub.start()
    readers = [Subscriber(shares, stream(world), Encoder()) for _ in range(3)]
    await settle()
    await shares.close()
    readers.append(Subscriber(shares, stream(world), Encoder()))
    await settle()
    assert [type(reader.task.exception()) for reader in readers] == [Stopping] * 4
    assert shares.subscribers == 0
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


class Stumbling(Encoder):
    """Cannot encode one event, as when something it loads does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.stumbles_over: int | None = None

    def __call__(self, event: Any) -> bytes:
        if isinstance(event, MessageBatch) and self.stumbles_over in {m.id for m in event.messages}:
            raise TimeoutError("no answer")
        return super().__call__(event)


async def test_an_event_that_cannot_be_made_is_told_as_a_gap_and_the_stream_goes_on() -> None:
    world, shares, encoder = World(), Shares(outbox_events=100, outbox_bytes=10**6), Stumbling()
    await world.hub.start()
    one = Subscriber(shares, stream(world, "X"), encoder)
    await settle()
    first, second, third = (world.commit(1, "X") for _ in range(3))
    encoder.stumbles_over = second.last_id
    for announcement in (first, second, third):
        world.hub.receive(announcement)
        await settle()
    (gap,) = [event for event in one.events if isinstance(event, Gap)]
    assert (gap.reason, gap.missed) == (GapReason.OVERLOAD, 1)
    assert Position.decode(gap.after) == Position({1: first.last_id})
    assert Position.decode(gap.before) == Position({1: second.last_id})
    assert one.ids == [first.last_id, third.last_id]
    await one.leave()
    await world.hub.stop()
