import asyncio

import pytest

from domain.positions import Position
from infra.realtime.outbox import Outbox, Sendable


def event(number: int, key: str | None = None, payload: bytes | None = None) -> Sendable:
    return Sendable(payload or str(number).encode(), Position({0: number}), key, 1, number)


async def test_events_leave_in_order_and_all_at_once() -> None:
    outbox = Outbox(10, 1000)
    for number in range(1, 4):
        outbox.offer(event(number))
    assert await outbox.take() == ([b"1", b"2", b"3"], None)


async def test_what_waits_is_counted_until_it_is_taken() -> None:
    outbox = Outbox(10, 1000)
    for number, key in ((1, None), (2, "BTC"), (3, "BTC")):
        outbox.offer(event(number, key))
    assert outbox.waiting == 2
    await outbox.take()
    assert outbox.waiting == 0


async def test_a_full_outbox_says_exactly_what_it_left_out() -> None:
    outbox = Outbox(2, 1000)
    for number in range(1, 6):
        outbox.offer(event(number))
    taken, loss = await outbox.take()
    assert taken == [b"1", b"2"]
    assert loss is not None
    assert (loss.after, loss.before, loss.missed) == (Position({0: 2}), Position({0: 5}), 3)
    outbox.offer(event(6))
    assert await outbox.take() == ([b"6"], None)


async def test_bytes_bound_an_outbox_too() -> None:
    outbox = Outbox(100, 10)
    outbox.offer(event(1, payload=b"x" * 20))
    outbox.offer(event(2))
    taken, loss = await outbox.take()
    assert len(taken) == 1
    assert loss is not None
    assert loss.missed == 1


async def test_the_newest_of_a_key_replaces_the_older_and_nothing_is_lost() -> None:
    outbox = Outbox(1, 10)
    for number, key in enumerate("aba", start=1):
        outbox.offer(event(number, key))
    assert await outbox.take() == ([b"2", b"3"], None)


async def test_keyed_events_already_in_the_replay_are_not_sent_again() -> None:
    outbox = Outbox(10, 1000)
    outbox.open(Position({0: 5}))
    outbox.offer(event(5, "a"))
    outbox.offer(event(6, "b"))
    assert await outbox.take() == ([b"6"], None)


async def test_taking_waits_for_something_to_come() -> None:
    outbox = Outbox(10, 1000)
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0.01)
    assert not taking.done()
    outbox.offer(event(1))
    assert await taking == ([b"1"], None)


async def test_a_failure_reaches_the_reader() -> None:
    outbox = Outbox(10, 1000)
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    outbox.fail(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        await taking
