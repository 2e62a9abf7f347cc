import asyncio
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.messages import Delivery, DeliveryMode, Gap
from domain.positions import Position
from infra.realtime.sharing import Shares
from tests.infra.realtime.subscribers import Encoder, Subscriber, stream
from tests.infra.realtime.world import World, settle

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
