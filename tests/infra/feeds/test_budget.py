import asyncio
import time

import pytest

from infra.feeds.budget import RateBudget
from infra.feeds.faults import SourceFailed


async def test_an_eager_connector_starves_nobody() -> None:
    budget, turns = RateBudget(20), [0] * 20

    async def ask(one: int) -> None:
        while True:
            await budget.acquire("venue")
            turns[one] += 1

    for _ in turns:
        await budget.acquire("venue")
    asking = [asyncio.create_task(ask(one)) for one in range(len(turns))]
    await asyncio.sleep(1.5)
    for task in asking:
        task.cancel()
    assert turns == [1] * len(turns)


async def test_who_gives_up_waiting_does_not_hold_up_the_line() -> None:
    budget = RateBudget(10)
    for _ in range(10):
        await budget.acquire("venue")
    first, second = (asyncio.create_task(budget.acquire("venue")) for _ in range(2))
    await asyncio.sleep(0.05)
    first.cancel()
    async with asyncio.timeout(2):
        await second


async def test_who_waits_for_a_host_hears_that_it_wants_to_be_left_alone() -> None:
    budget = RateBudget(1)
    await budget.acquire("venue")
    waiting = asyncio.create_task(budget.acquire("venue"))
    await asyncio.sleep(0.01)
    budget.pause("venue", 300)
    for ask in (waiting, budget.acquire("venue")):
        with pytest.raises(SourceFailed, match=r"left alone for \d+ s") as refused:
            await asyncio.wait_for(ask, 3)
        assert 290 < (refused.value.wait_seconds or 0) <= 300
    await budget.acquire("other")


async def test_a_clock_that_is_set_back_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    budget, now = RateBudget(1), time.time
    await budget.acquire("venue")
    monkeypatch.setattr(time, "time", lambda: now() - 3_600)
    async with asyncio.timeout(3):
        await budget.acquire("venue")
