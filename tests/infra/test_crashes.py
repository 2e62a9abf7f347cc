"""Processes that are killed or stopped in the middle of ingest, and what is there afterwards."""

import os
import signal
from pathlib import Path
from typing import Any

from infra.postgres.embedded import EmbeddedPostgres
from tests.infra.trades import Follower, becomes_ready, connect, exchange, metric, stored
from tests.service import Service

SETTINGS: dict[str, Any] = {"allow_private_addresses": True, "lease_seconds": 1}


async def test_a_killed_process_leaves_all_it_announced_and_goes_on_by_itself(
    tmp_path: Path, database_url: str
) -> None:
    follower = Follower()
    async with exchange(rate=1500) as replayer:
        service = await Service(tmp_path, database_url=database_url, **SETTINGS).start()
        async with follower.following(service):
            await connect(service, replayer)
            await follower.more()
            await service.kill()
        announced = len(follower.heard)
        async with Service(tmp_path, database_url=database_url, **SETTINGS) as service:
            async with follower.following(service):
                await follower.more()
            assert await service.stop() == 0
    found = await stored(database_url)
    assert len(follower.heard) > announced
    assert found.since(follower.heard[0])[: len(follower.heard)] == follower.heard
    assert len(found.missing) == 2  # what each instrument traded while nobody listened
    assert found.missing == found.recorded


async def test_a_killed_server_and_then_a_killed_process_need_no_help(place: Path) -> None:
    follower = Follower()
    async with exchange(rate=1500) as replayer:
        service = await Service(place, **SETTINGS).start()
        async with follower.following(service):
            await connect(service, replayer)
            await follower.more()
            postmaster = place / "postgres" / "postmaster.pid"
            os.kill(int(postmaster.read_text().split()[0]), signal.SIGKILL)
            await becomes_ready(service, 503)
            await becomes_ready(service, 200)
            await follower.more()
            await service.kill()
        async with Service(place, **SETTINGS) as service:
            async with follower.following(service):
                await follower.more()
            assert await service.stop() == 0
    async with EmbeddedPostgres(place) as server:
        found = await stored(server.url)
    assert found.since(follower.heard[0])[: len(follower.heard)] == follower.heard
    assert found.missing == found.recorded


async def test_a_stop_under_load_loses_nothing_that_was_received(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        exchange(rate=2000) as replayer,
        Service(tmp_path, database_url=database_url, batch_age_ms=10_000, **SETTINGS) as service,
    ):
        await connect(service, replayer)
        while (received := await metric(service, "writer_queued_messages")) < 1000:
            assert service.process.poll() is None
        assert await service.stop() == 0
    found = await stored(database_url)
    assert len(found.trades) >= received
    assert len(found.trades) == found.counted
    assert found.missing == found.recorded == set()
    assert found.shed == 0
