"""Subscribers of equal rights share one execution, made as their delegate; what is theirs alone is made as them."""

import asyncio
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from domain.identity import Caller, Permission, Viewer
from infra.realtime.sharing import Shares
from infra.realtime.statuses import StatusBoard
from infra.realtime.streams import Feed
from infra.web.documents import Documents
from infra.web.errors import ErrorFormatter
from infra.web.metrics import Metrics
from infra.web.operations import Operations, Request
from resolvers.context import Context
from schema.root import schema
from tests.infra.realtime.world import WORKSPACE, StillClock, World
from tests.infra.web.test_sse import nothing_stored

CLIENTS = 200
TICKS = """subscription { messages { ... on MessageBatch { messages { instrument connector { name } } } } }"""
READER = frozenset({Permission.READ_DATA})


class Service:
    """The stream in memory; it counts whose connectors are looked up."""

    def __init__(self) -> None:
        self.world = World()
        self.asked: list[Viewer] = []
        feed = Feed(self.world.hub, StatusBoard(nothing_stored), StillClock(), self.world.seen_by)
        services: Any = SimpleNamespace(feed=feed)
        graphql: Any = schema._schema
        asked = self.asked

        class Watched(Context):
            """A context whose loader notes for whom it was asked, and finds nothing."""

            @property
            def connectors(self) -> Any:  # type: ignore[override]
                asked.append(self.viewer)
                return SimpleNamespace(load=nothing_found)

        self.shares = Shares(outbox_events=64, outbox_bytes=1 << 20)
        self.operations = Operations(
            graphql,
            Documents(graphql),
            lambda caller: Watched(caller, services),
            self.shares,
            ErrorFormatter(),
            Metrics(),
        )

    async def follow(self, viewer: Viewer, begun: asyncio.Semaphore) -> bytes:
        """The first live event."""
        prepared = self.operations.prepare(Request(TICKS), Caller(viewer, "request"))
        async with aclosing(self.operations.subscribe(prepared)) as events:
            await anext(events)
            begun.release()
            return (await anext(events))[0]


async def nothing_found(_: UUID) -> None:
    return None


async def followed(viewers: list[Viewer]) -> tuple[Service, list[bytes]]:
    service, begun = Service(), asyncio.Semaphore(0)
    await service.world.hub.start()
    tasks = [asyncio.create_task(service.follow(viewer, begun)) for viewer in viewers]
    for _ in tasks:
        await begun.acquire()
    service.world.hub.receive(service.world.commit(1, "BTC-USDT"))
    async with asyncio.timeout(10):
        events = await asyncio.gather(*tasks)
    await service.world.hub.stop()
    return service, events


def member(number: int, **values: Any) -> Viewer:
    rights = {"permissions": READER, **values}
    return Viewer(WORKSPACE, user_id=UUID(int=number), session_id=UUID(int=number), **rights)


async def test_many_users_of_equal_rights_share_one_execution_by_their_delegate() -> None:
    service, events = await followed([member(number) for number in range(CLIENTS)])
    assert len(set(events)) == 1
    assert len(service.asked) == 1
    assert service.asked[0].delegate
    assert service.asked[0].user_id is None
    assert service.asked[0].permissions == READER


async def test_other_rights_are_executed_apart() -> None:
    others = [
        member(1),
        member(2, permissions=frozenset(Permission)),
        member(3, groups=frozenset({UUID(int=9)})),
    ]
    service, _ = await followed(others)
    assert len(service.asked) == 3
    assert all(viewer.delegate for viewer in service.asked)
