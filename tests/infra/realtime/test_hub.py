import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from domain.messages import Message, MessageFilter
from domain.positions import Position, node_of
from infra.realtime import announcement as announcements
from infra.realtime.announcement import Announcement
from tests.infra.realtime.world import WORKSPACE, World, everything, settle


@dataclass(eq=False)
class Recorder:
    filter: MessageFilter
    ids: list[int] = field(default_factory=list)
    missed: list[tuple[Position, Position]] = field(default_factory=list)

    def offer(
        self, messages: list[Message], before: Position, after: Position, published_at: datetime
    ) -> None:
        assert all(not before.has(message.id) and after.has(message.id) for message in messages)
        self.ids += [message.id for message in messages]

    def miss(self, before: Position, after: Position) -> None:
        self.missed.append((before, after))


async def test_a_listener_gets_what_its_filter_admits() -> None:
    world = World()
    await world.hub.start()
    btc, every = Recorder(everything("BTC-USDT")), Recorder(everything())
    world.hub.attach(btc)
    world.hub.attach(every)
    world.hub.receive(world.commit(1, "BTC-USDT", "ETH-USDT", "BTC-USDT"))
    await settle()
    assert btc.ids == [world.rows[0][0], world.rows[2][0]]
    assert every.ids == [row[0] for row in world.rows]
    await world.hub.stop()


async def test_another_workspace_hears_nothing() -> None:
    world = World()
    await world.hub.start()
    stranger = Recorder(MessageFilter(CONNECTOR_OF_NOBODY))
    world.hub.attach(stranger)
    world.hub.receive(world.commit(1, "BTC-USDT"))
    await settle()
    assert stranger.ids == []
    await world.hub.stop()


CONNECTOR_OF_NOBODY = type(WORKSPACE)(int=99)


async def test_a_detached_listener_hears_nothing_more() -> None:
    world = World()
    await world.hub.start()
    listener = Recorder(everything("BTC-USDT"))
    world.hub.attach(listener)
    world.hub.receive(world.commit(1, "BTC-USDT"))
    await settle()
    world.hub.detach(listener)
    world.hub.receive(world.commit(1, "BTC-USDT"))
    await settle()
    assert len(listener.ids) == 1
    await world.hub.stop()


async def test_a_listener_that_fails_is_told_it_missed_something_and_costs_the_others_nothing() -> (
    None
):
    class Failing(Recorder):
        def offer(self, *_: object) -> None:
            raise RuntimeError("full of itself")

    world = World()
    await world.hub.start()
    failing, healthy = Failing(everything()), Recorder(everything())
    world.hub.attach(failing)
    world.hub.attach(healthy)
    announcement = world.commit(1, "BTC-USDT")
    world.hub.receive(announcement)
    await settle()
    assert healthy.ids == [announcement.last_id]
    assert failing.missed == [(Position(), Position({1: announcement.last_id}))]
    await world.hub.stop()


async def test_what_retention_took_while_the_bus_was_away_is_told_as_missed() -> None:
    world = World()
    await world.hub.start()
    listener = Recorder(everything())
    world.hub.attach(listener)
    lost = world.commit(1, "BTC-USDT", "BTC-USDT")
    world.rows.clear()
    world.dropped_position = Position({1: lost.last_id})
    world.rows += [World.row(0, "old")] * 2  # keep numbering ids after the lost ones
    late = world.commit(1, "BTC-USDT")
    world.hub.receive(late)
    await settle()
    assert listener.missed == [(Position(), Position({1: lost.last_id}))]
    assert listener.ids == [late.last_id]
    await world.hub.stop()


async def test_commits_never_announced_are_found_by_looking() -> None:
    world = World()
    await world.hub.start()
    listener = Recorder(everything())
    world.hub.attach(listener)
    world.commit(3, "BTC-USDT")
    async with asyncio.timeout(5):
        while not listener.ids:
            await asyncio.sleep(0.05)
    assert listener.ids == [world.rows[0][0]]
    await world.hub.stop()


async def test_waiting_for_a_position_ends_when_it_is_reached() -> None:
    world = World()
    await world.hub.start()
    announcement = world.commit(1, "BTC-USDT")
    waiting = asyncio.create_task(world.hub.reached(Position({1: announcement.last_id}), 2))
    await settle()
    assert not waiting.done()
    world.hub.receive(announcement)
    await waiting
    await world.hub.stop()


async def test_waiting_for_a_position_ends_when_retention_took_all_of_it() -> None:
    world = World()
    await world.hub.start()
    lost = world.commit(1, "BTC-USDT")
    world.rows.clear()
    world.dropped_position = Position({1: lost.last_id})
    waiting = asyncio.create_task(world.hub.reached(Position({1: lost.last_id}), 2))
    await settle()
    world.hub.receive(Announcement(1, lost.last_id, lost.last_id, lost.published_at, []))
    await waiting
    await world.hub.stop()


async def test_an_announcement_that_overlaps_what_was_seen_gives_only_the_rest() -> None:
    world = World()
    await world.hub.start()
    listener = Recorder(everything())
    world.hub.attach(listener)
    whole = world.commit(1, "X", "X", "X")
    first, *_ = whole.rows
    world.hub.receive(Announcement(1, 0, first[0], whole.published_at, [first]))
    world.hub.receive(whole)
    await settle()
    assert listener.ids == [row[0] for row in whole.rows]
    await world.hub.stop()


@given(
    commits=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), min_size=1, max_size=20),
    fate=st.randoms(use_true_random=False),
)
def test_each_message_arrives_once_and_in_order_whatever_the_bus_does(
    commits: list[tuple[int, int]], fate: object
) -> None:
    asyncio.run(_survive_the_bus(commits, fate))


async def _survive_the_bus(commits: list[tuple[int, int]], fate: object) -> None:
    world = World()
    await world.hub.start()
    listener = Recorder(everything())
    world.hub.attach(listener)
    announced = [world.commit(node, *["X"] * count) for node, count in commits]
    delivered = []
    for announcement in announced:
        match fate.randrange(4):  # type: ignore[attr-defined]
            case 0:
                continue  # lost
            case 1:
                delivered += [announcement, announcement]
            case _:
                delivered.append(announcement)
    # the last word of each node gets through, as the next commit or the reconciliation would
    delivered += [next(a for a in reversed(announced) if a.node == node) for node in world.last]
    for announcement in delivered:
        world.hub.receive(announcement)
        if fate.random() < 0.3:  # type: ignore[attr-defined]
            await settle()
    for _ in range(10):
        await settle()
    assert sorted(listener.ids) == sorted(row[0] for row in world.rows)
    for node in world.last:
        mine = [id for id in listener.ids if node_of(id) == node]
        assert mine == sorted(mine)
    await world.hub.stop()


def test_an_announcement_keeps_exact_values_between_processes() -> None:
    announcement = World().commit(1, "BTC-USDT", "ETH-USDT")
    assert announcements.decode(announcements.encode(announcement)) == announcement
