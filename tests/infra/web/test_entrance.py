"""The entrance keeps those who stay to their rights, also while nobody tells it of changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from domain.identity import Forbidden, Permission, Unauthenticated, Viewer
from infra.web.admission import Admission, Proof
from infra.web.counters import Counters
from infra.web.entrance import Entrance
from infra.web.health import Health
from infra.web.limits import RateLimits, Rates
from infra.web.metrics import Metrics
from infra.web.operations import Prepared
from infra.web.routes import create_web
from infra.web.websocket import WebSocketEndpoint
from tests.infra.clients import dialling
from tests.infra.web.sample import World
from tests.infra.web.serving import Anybody, operations, served

PROOF = Proof(user_id=UUID(int=1), session_id=UUID(int=2))
WORKSPACE = UUID(int=3)


def admission(*permissions: Permission) -> Admission:
    viewer = Viewer(WORKSPACE, user_id=UUID(int=1), permissions=frozenset(permissions))
    return Admission(viewer, proof=PROOF)


class Rights(Anybody):
    """Rights as a test sets them; looking them up waits while `slow` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.outcome: Admission | Exception = admission(Permission.READ_DATA)
        self.looks = asyncio.Semaphore(0)
        self.go_on: asyncio.Event | None = None

    async def again(self, proof: Proof) -> Admission:
        outcome = self.outcome
        self.looks.release()
        if self.go_on is not None:
            await self.go_on.wait()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Guest:
    """Somebody who stays, and what they are told."""

    def __init__(self) -> None:
        self.admission = admission(Permission.READ_DATA)
        self.told: asyncio.Queue[Any] = asyncio.Queue()

    async def readmit(self, admission: Admission) -> None:
        self.admission = admission
        self.told.put_nowait(admission)

    def show_out(self, reason: str) -> None:
        self.told.put_nowait(reason)

    async def hears(self) -> Any:
        async with asyncio.timeout(5):
            return await self.told.get()


@asynccontextmanager
async def deaf(rights: Rights, guest: Guest) -> AsyncIterator[Entrance]:
    entrance = Entrance(rights)
    entrance.enter(guest)
    rounds = asyncio.create_task(entrance.look_around(lambda: True, seconds=0.01))
    yield entrance
    rounds.cancel()
    await asyncio.wait({rounds})


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Unauthenticated("session ended"), "Session ended"),
        (Forbidden(needed="a membership"), "No longer a member of this workspace"),
        (admission(), admission()),
    ],
)
async def test_changes_that_are_not_told_are_found_out(outcome: Any, told: Any) -> None:
    rights, guest = Rights(), Guest()
    async with deaf(rights, guest):
        assert await guest.hears() == admission(Permission.READ_DATA)
        rights.outcome = outcome
        while (heard := await guest.hears()) == admission(Permission.READ_DATA):
            pass
    assert heard == told


async def test_nobody_is_shown_out_while_the_database_is_away() -> None:
    rights, guest = Rights(), Guest()
    rights.outcome = ConnectionError("away")
    async with deaf(rights, guest):
        for _ in range(3):
            await rights.looks.acquire()
        assert guest.told.empty()
        rights.outcome = Unauthenticated("key revoked")
        assert await guest.hears() == "Key revoked"


async def test_what_was_looked_up_before_a_change_is_not_told_after_it() -> None:
    rights, guest = Rights(), Guest()
    rights.go_on = asyncio.Event()
    async with deaf(rights, guest) as entrance:
        await rights.looks.acquire()
        rights.outcome = admission()
        entrance.changed()
        await rights.looks.acquire()
        rights.go_on.set()
        assert await guest.hears() == admission()
        assert await guest.hears() == admission()


async def test_who_hears_of_changes_looks_nobody_up() -> None:
    rights, guest = Rights(), Guest()
    entrance = Entrance(rights)
    entrance.enter(guest)
    rounds = asyncio.create_task(entrance.look_around(lambda: False, seconds=0))
    for _ in range(20):
        await asyncio.sleep(0)
    rounds.cancel()
    assert rights.looks.locked()


class Held(RateLimits):
    """Keeps an operation waiting before it is counted, as a Redis that is slow does."""

    def __init__(self) -> None:
        super().__init__(Rates(), Counters())
        self.come, self.go_on = asyncio.Event(), asyncio.Event()
        self.viewer: Viewer | None = None

    async def admit(self, prepared: Prepared) -> list[tuple[bytes, bytes]]:
        self.come.set()
        await self.go_on.wait()
        self.viewer = prepared.caller.viewer
        return await super().admit(prepared)


async def test_a_subscription_that_begins_while_rights_change_begins_with_the_new_ones() -> None:
    rights, gate = Rights(), Held()
    rights.admission = admission(Permission.READ_DATA)
    rights.outcome = admission()
    entrance, performed = Entrance(rights), operations(World(events=[]), gate=gate)
    sockets = WebSocketEndpoint(performed, entrance)
    web = create_web(performed, entrance, sockets, Health({}), Metrics())
    async with served(web) as url, dialling(url, "graphql-transport-ws") as wire:
        await wire.send(type="connection_init")
        await wire.recv()
        await wire.subscribe("1", "subscription { ticks { id } }")
        async with asyncio.timeout(5):
            await gate.come.wait()
            entrance.changed()
            await rights.looks.acquire()
            await wire.send(type="ping")
            await wire.recv()
            gate.go_on.set()
            await wire.recv()
    assert gate.viewer == admission().viewer
