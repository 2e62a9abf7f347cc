import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import redis.asyncio as redis

from infra.realtime.bus import Bus
from infra.realtime.channels import CODECS, MESSAGES
from tests.infra.realtime.world import World

REDIS = os.environ.get("PENSTOCK_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
WAIT_SECONDS = 15.0


@pytest.fixture
async def redis_url() -> str:
    client = redis.Redis.from_url(REDIS, socket_connect_timeout=1)
    try:
        await client.ping()
    except (redis.RedisError, OSError) as error:
        pytest.skip(f"no Redis at {REDIS}: {error}")
    finally:
        await client.aclose()
    return REDIS


@asynccontextmanager
async def a_bus(url: str, heard: list[object] | None = None) -> AsyncIterator[Bus]:
    bus = Bus(url, CODECS)
    if heard is not None:
        bus.receive(MESSAGES, heard.append)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


async def test_in_memory_what_is_published_arrives_as_it_is() -> None:
    heard: list[object] = []
    announcement = World().commit(1, "BTC-USDT")
    async with a_bus("memory://", heard) as bus:
        await bus.publish(MESSAGES, announcement)
        await until(lambda: bool(heard))
    assert heard[0] is announcement


async def test_over_redis_every_process_hears_exactly_what_was_published(redis_url: str) -> None:
    first: list[object] = []
    second: list[object] = []
    world = World()
    announcements = [world.commit(1, "BTC-USDT", "ETH-USDT") for _ in range(20)]
    async with a_bus(redis_url, first), a_bus(redis_url, second), a_bus(redis_url) as publisher:
        for announcement in announcements:
            await publisher.publish(MESSAGES, announcement)
        await until(lambda: len(first) == len(second) == 20)
    assert first == second == announcements


async def test_a_listener_whose_connection_dies_hears_again(redis_url: str) -> None:
    heard: list[object] = []
    world = World()
    client = redis.Redis.from_url(redis_url)
    async with a_bus(redis_url, heard) as listener, a_bus(redis_url) as publisher:
        before = {row["id"] for row in await client.client_list(_type="pubsub")}
        assert before
        for row in await client.client_list(_type="pubsub"):
            await client.client_kill_filter(_id=row["id"])

        async def speak() -> None:
            while not heard:
                with suppress(OSError):  # its own connection is being rebuilt
                    await publisher.publish(MESSAGES, world.commit(1, "BTC-USDT"))
                await asyncio.sleep(0.1)

        async with asyncio.timeout(WAIT_SECONDS):
            await speak()
        await until(lambda: listener.connected)
    await client.aclose()


async def test_a_bus_that_cannot_be_reached_says_so() -> None:
    bus = Bus("redis://127.0.0.1:1/0", CODECS, connect_seconds=0.5)
    with pytest.raises(TimeoutError, match="bus"):
        await bus.start()
    with pytest.raises(ConnectionError):
        await bus.publish(MESSAGES, World().commit(1, "X"))


async def test_one_message_that_cannot_be_handled_does_not_silence_the_rest() -> None:
    heard: list[object] = []

    def receiver(message: object) -> None:
        heard.append(message)
        if len(heard) == 1:
            raise ValueError("cannot")

    bus = Bus("memory://", CODECS)
    bus.receive(MESSAGES, receiver)
    await bus.start()
    await bus.publish(MESSAGES, 1)
    await bus.publish(MESSAGES, 2)
    await until(lambda: heard == [1, 2])
    await bus.stop()
