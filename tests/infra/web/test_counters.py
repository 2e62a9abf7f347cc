"""Counting requests: in memory, on a Redis that processes share, and while that Redis is away."""

import os
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio as redis
from loguru import logger

from infra.settings import Settings
from infra.web import counters as module
from infra.web.counters import Counters, MemoryCounters
from infra.web.front import front_door
from tests.infra.web.sample import SCHEMA

REDIS = os.environ.get("PENSTOCK_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


async def test_a_window_begins_with_the_first_hit_and_ends_in_time() -> None:
    counters = Counters()
    began = time.time()
    assert [(await counters.count("a", 60, 1))[0] for _ in range(3)] == [1, 2, 3]
    count, ends = await counters.count("a", 60, 10)
    assert count == 13
    assert began + 60 <= ends <= time.time() + 60
    assert (await counters.count("b", 60, 1))[0] == 1


async def test_a_new_window_begins_after_the_last_is_over() -> None:
    counters = MemoryCounters()
    assert await counters.incr("a", 0, 5) == 5
    assert await counters.get("a") == 0
    assert await counters.incr("a", 60, 1) == 1


async def test_keys_in_memory_are_bounded_and_the_oldest_give_way() -> None:
    counters = MemoryCounters(keys=100)
    for number in range(1_000):
        await counters.incr(f"key {number}", 60)
    assert len(counters._counts) <= 100
    assert await counters.get("key 999") == 1


@pytest.fixture
async def shared() -> AsyncIterator[str]:
    """A key on a Redis, of which nothing is left."""
    client, key = redis.Redis.from_url(REDIS, socket_connect_timeout=1), uuid4().hex
    try:
        await client.ping()
    except (redis.RedisError, OSError) as error:
        await client.aclose()
        pytest.skip(f"no Redis at {REDIS}: {error}")
    yield key
    async for left in client.scan_iter(f"{module.PREFIX}*:{key}", count=1000):
        await client.delete(left)
    await client.aclose()


async def test_on_redis_processes_count_together(shared: str) -> None:
    one, other, key = Counters(REDIS), Counters(REDIS), shared
    try:
        assert (await one.count(key, 60, 2))[0] == 2
        count, ends = await other.count(key, 60, 3)
        assert count == 5
        assert 55 < ends - time.time() <= 61
        assert (await one.count(key, 60, -5))[0] == 0
        assert not one.away
    finally:
        await one.close()
        await other.close()


async def test_deployments_that_share_a_redis_do_not_count_together(shared: str) -> None:
    settings = Settings(_env_file=None, rate_limit_url=REDIS)  # type: ignore[call-arg, arg-type]
    here, there, beside = (
        front_door(settings, SCHEMA, scope).counters for scope in ("@here", "@there", "@here")
    )
    try:
        assert (await here.count(shared, 60, 2))[0] == 2
        assert (await there.count(shared, 60, 1))[0] == 1
        assert (await beside.count(shared, 60, 1))[0] == 3
        assert not there.away
    finally:
        for counters in (here, there, beside):
            await counters.close()


async def test_while_redis_is_away_memory_counts_and_one_warning_says_so() -> None:
    warnings: list[Any] = []
    sink = logger.add(lambda message: warnings.append(message.record), level="WARNING")
    counters = Counters("redis://127.0.0.1:1/0")
    try:
        assert [(await counters.count("a", 60, 1))[0] for _ in range(3)] == [1, 2, 3]
        assert counters.away
        counters._away_until = 1.0  # the time to try again has come
        assert (await counters.count("a", 60, 1))[0] == 4
    finally:
        logger.remove(sink)
        await counters.close()
    assert len(warnings) == 1
    assert counters.fallbacks == 4
    assert module.AWAY_SECONDS > 0
