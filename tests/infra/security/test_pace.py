import asyncio
from time import monotonic

from infra.security.pace import EvenPace


async def test_quick_answers_take_as_long_as_slow_ones():
    pace = EvenPace(0.05)

    async def answer(work_seconds: float) -> float:
        begun = pace.begin()
        await asyncio.sleep(work_seconds)
        await pace.even_out(begun)
        return monotonic() - begun

    assert min(await asyncio.gather(answer(0.0), answer(0.01), answer(0.04))) >= 0.05


async def test_an_answer_that_took_longer_waits_no_more():
    begun = monotonic() - 10
    await asyncio.wait_for(EvenPace(5).even_out(begun), 1)
