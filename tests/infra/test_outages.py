"""The database goes away under load and comes back: the service heals by itself, and its subscribers see nothing of it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from infra.postgres.embedded import EmbeddedPostgres
from infra.replay.server import Replayer
from tests.infra.trades import (
    PATIENCE_SECONDS,
    Follower,
    becomes_ready,
    connect,
    eventually,
    exchange,
    stored,
)
from tests.service import Service


@asynccontextmanager
async def under_load(
    place: Path, server: EmbeddedPostgres, **settings: Any
) -> AsyncIterator[tuple[Service, Replayer, Follower]]:
    """A service that stores trades in a server of its own, and a subscriber who must hear all of them on one socket."""
    follower = Follower()
    async with (
        exchange(rate=1500) as replayer,
        Service(
            place / "service", database_url=server.url, allow_private_addresses=True, **settings
        ) as service,
        follower.following(service),
    ):
        await connect(service, replayer)
        await follower.more()
        yield service, replayer, follower
        await follower.more()
        assert await service.stop() == 0
    found = await stored(server.url)
    assert follower.sockets == 1
    assert found.since(follower.heard[0])[: len(follower.heard)] == follower.heard
    assert found.missing == found.recorded
    assert found.counted == len(found.trades)
    assert found.shed == 0
    assert found.epochs == {1}


async def crash(server: EmbeddedPostgres) -> None:
    """Take the server away without a checkpoint."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGQUIT)
    await eventually(lambda: not Path(f"/proc/{server.pid}/exe").exists())


async def test_restarts_and_crashes_of_the_database_are_waited_out(place: Path) -> None:
    async with EmbeddedPostgres(place) as server:
        async with under_load(place, server, lease_seconds=30) as (service, replayer, follower):
            await server.restart()
            await follower.more()
            await crash(server)
            assert "database" in await becomes_ready(service, 503)
            await server.restart()
            assert await becomes_ready(service, 200) == set()
            assert replayer.opened() == 2
        assert (await stored(server.url)).missing == set()


async def test_an_outage_longer_than_the_leases_costs_nothing_that_was_received(
    place: Path,
) -> None:
    async with (
        EmbeddedPostgres(place) as server,
        under_load(place, server, lease_seconds=1) as (_, replayer, _),
    ):
        await crash(server)
        await eventually(lambda: replayer.connections() == 0)
        await server.restart()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len((await stored(server.url)).recorded) < 2:
                await asyncio.sleep(0.2)
