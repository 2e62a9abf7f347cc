"""One deployment of several processes: the API here, connectors there, a bus between them that may fail."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from redis import RedisError
from redis.asyncio import Redis

from infra.replay.server import Replayer
from tests.infra.clients import new_connector, save, ticks
from tests.infra.trades import (
    FOLLOW,
    KEY,
    PATIENCE_SECONDS,
    Follower,
    becomes_ready,
    connect,
    eventually,
    exchange,
    stored,
)
from tests.service import Service

SHARED_REDIS = os.environ.get("PENSTOCK_TEST_REDIS_URL", "redis://127.0.0.1:6379/11")
TAKEOVER_SECONDS = 10.0


@dataclass
class Deployment:
    """A `serve` and an `ingest` process with running connectors, and a subscriber."""

    directory: Path
    database_url: str
    bus_url: str
    replayer: Replayer
    follower: Follower

    def service(self, command: str) -> Service:
        """One more process."""
        return Service(
            self.directory,
            command=command,
            database_url=self.database_url,
            encryption_keys=KEY,
            bus_url=self.bus_url,
            allow_private_addresses=True,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Service, Service]]:
        """The two processes; in the end every trade they stored was heard once, in order, over one socket."""
        async with (
            self.service("serve") as api,
            self.service("ingest") as ingest,
            self.follower.following(api),
        ):
            await connect(api, self.replayer)
            await self.follower.more()
            yield api, ingest
        found = await stored(self.database_url)
        heard = self.follower.heard
        assert self.follower.sockets == 1
        assert found.since(heard[0])[: len(heard)] == heard
        assert found.missing == found.recorded


@asynccontextmanager
async def a_deployment(
    directory: Path, database_url: str, bus_url: str
) -> AsyncIterator[Deployment]:
    async with exchange(rate=1000) as replayer:
        yield Deployment(directory, database_url, bus_url, replayer, Follower())


class RedisServer:
    """A Redis of the test's own, at the same port whenever it runs."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: ASYNC220 - over in a moment
            self._command, cwd=self._directory, stdout=subprocess.DEVNULL
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await _answers(self.url):
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    async def cut(self) -> None:
        """End the connections of all who listen."""
        async with Redis.from_url(self.url) as client:
            assert await client.client_kill_filter(_type="pubsub") >= 2

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()


async def _answers(url: str) -> bool:
    try:
        async with Redis.from_url(url, socket_connect_timeout=1) as client:
            return bool(await client.ping())
    except (RedisError, OSError):
        return False


async def test_when_an_ingest_process_dies_another_goes_on_within_ten_seconds(
    tmp_path: Path, database_url: str
) -> None:
    if not await _answers(SHARED_REDIS):
        pytest.skip(f"no Redis answers at {SHARED_REDIS}")
    async with (
        a_deployment(tmp_path, database_url, SHARED_REDIS) as deployment,
        deployment.running() as (_, ingest),
        deployment.service("ingest") as heir,
    ):
        await deployment.follower.more()
        assert deployment.replayer.opened() == 2  # the heir has nothing to do
        await ingest.kill()
        async with asyncio.timeout(TAKEOVER_SECONDS):
            await eventually(lambda: deployment.replayer.opened() == 4)
        await deployment.follower.more()
        assert deployment.replayer.connections() == 2
        assert len((await stored(database_url)).recorded) == 2
        assert heir.process.poll() is None


async def test_a_bus_that_fails_is_healed_from_the_database(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        RedisServer(tmp_path) as redis,
        a_deployment(tmp_path, database_url, redis.url) as deployment,
        deployment.running() as (api, _),
    ):
        await redis.cut()
        await deployment.follower.more()
        redis.kill()
        assert await becomes_ready(api, 503) == {"bus"}
        await deployment.follower.more()
        await redis.start()
        await becomes_ready(api, 200)
        await deployment.follower.more()


async def test_without_a_common_bus_subscribers_hear_from_the_database(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        a_deployment(tmp_path, database_url, "memory://") as deployment,
        deployment.running(),
    ):
        await deployment.follower.more()


async def test_deployments_that_share_a_redis_hear_only_themselves(
    tmp_path: Path, database_url: str, empty_database_url: str
) -> None:
    async with (
        RedisServer(tmp_path) as redis,
        a_deployment(tmp_path, database_url, redis.url) as deployment,
        deployment.running(),
        Service(
            tmp_path / "other",
            database_url=empty_database_url,
            bus_url=redis.url,
            allow_private_addresses=True,
        ) as other,
        other.subscription(FOLLOW) as events,
    ):
        assert (await events.next())["messages"]["messages"] == []
        await deployment.follower.more()
        await save(other, await new_connector(other), ticks(7))
        (heard,) = (await events.next())["messages"]["messages"]
        assert heard["sequence"] == "7"
