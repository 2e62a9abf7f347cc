"""The writer's parts without a database: batches, the buffer, the search for refused rows."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.positions import EPOCH_MS, NODES, Minter, node_of, time_of
from infra.postgres.writer import Job
from infra.postgres.writer.batch import Batch
from infra.postgres.writer.buffer import Buffer
from infra.postgres.writer.faults import isolate
from tests import factories
from tests.infra.postgres.writing import arrival, numbered

CONNECTORS = [UUID(int=number) for number in range(1, 4)]

arrivals = st.lists(
    st.tuples(
        st.sampled_from(CONNECTORS), st.integers(0, 6), st.integers(0, 2), st.integers(0, 50)
    ),
    max_size=30,
)


@given(st.lists(st.booleans(), max_size=80))
def test_halving_finds_exactly_what_is_refused_and_accepts_the_rest_in_order(
    good: list[bool],
) -> None:
    accepted: list[int] = []

    async def accept(items: Sequence[int]) -> None:
        for item in items:
            if not good[item]:
                raise ValueError(item)
        accepted.extend(items)

    refused = asyncio.run(isolate(range(len(good)), accept))
    assert [item for item, _ in refused] == [n for n, ok in enumerate(good) if not ok]
    assert all(str(error) == str(item) for item, error in refused)
    assert accepted == [n for n, ok in enumerate(good) if ok]


@given(arrivals, st.integers(0, NODES - 1), st.integers(0, NODES - 1), st.data())
def test_a_batch_stays_consistent_whatever_is_taken_out(
    made: list[tuple[UUID, int, int, int]], node: int, other: int, data: st.DataObject
) -> None:
    batch = Batch(0.0)
    mint = Minter(node).mint
    moment = EPOCH_MS + 1_000_000
    for connector_id, count, epoch, later in made:
        moment += later
        batch.add(
            arrival(connector_id, *numbered(*range(count)), epoch=epoch, frame_bytes=3),
            mint,
            moment,
        )
    ids = [row[0] for row in batch.rows]
    assert ids == sorted(set(ids))
    removed = set(data.draw(st.lists(st.sampled_from(ids), max_size=5))) if ids else set()
    batch.remove(removed)
    batch.keep(lambda _, one: one.epoch != 1)
    old = [row[0] for row in batch.rows]
    batch.mint_again(Minter(other).mint)
    new = [row[0] for row in batch.rows]
    assert new == sorted(set(new))
    assert all(node_of(id) == other for id in new)
    assert all(time_of(b) >= time_of(a) for a, b in zip(old, new, strict=True))
    assert not removed & set(old)
    expected = sum(count for _, count, epoch, _ in made if epoch != 1)
    gone = sum(1 for row_id in removed if _epoch_of(made, ids.index(row_id)) != 1)
    shares = batch.shares()
    assert len(batch.rows) == expected - gone == sum(share.messages for share in shares)
    for share in shares:
        own = [row[0] for row in batch.rows if row[2] == share.connector_id]
        assert share.epoch != 1
        if share.messages:
            assert share.first_id in own
            assert share.last_id in own


def _epoch_of(made: list[tuple[UUID, int, int, int]], index: int) -> int:
    for _, count, epoch, _ in made:
        if index < count:
            return epoch
        index -= count
    raise AssertionError


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 9), st.just("job")), max_size=40), st.integers(1, 12))
def test_the_buffer_gives_everything_back_in_order_and_jobs_alone(
    steps: list[int | str], batch_rows: int
) -> None:
    asyncio.run(_pass_through(steps, batch_rows))


async def _pass_through(steps: list[int | str], batch_rows: int) -> None:
    buffer = Buffer(
        batch_rows=batch_rows, batch_age_ms=0.1, rows_limit=1_000_000, bytes_limit=1_000_000
    )
    mint = Minter(3).mint
    put: list[str] = []
    for step in steps:
        count = 2 if step == "job" else int(step)
        ticks = numbered(*range(len(put), len(put) + count))
        put += [str(tick.sequence) for tick in ticks]
        one = arrival(CONNECTORS[0], *ticks)
        if step == "job":
            buffer.add_job([one], Job(asyncio.get_running_loop().create_future()), mint, EPOCH_MS)
        else:
            buffer.add(one, mint, EPOCH_MS)
    buffer.close_batch()
    got: list[str] = []
    ids: list[int] = []
    while list(buffer.waiting()):
        batch = await buffer.next()
        assert batch.job is None or len(batch.arrivals) == 1
        assert len(batch.rows) - len(batch.arrivals[-1].ticks) < batch_rows
        got += [row[9] for row in batch.rows]
        ids += [row[0] for row in batch.rows]
        buffer.release(batch)
    assert got == put
    assert ids == sorted(set(ids))
    assert (buffer.rows, buffer.size_bytes) == (0, 0)


async def test_a_turn_that_came_too_late_goes_to_the_next() -> None:
    buffer = Buffer(batch_rows=1, batch_age_ms=1, rows_limit=1, bytes_limit=1000)
    buffer.add(arrival(CONNECTORS[0], *numbered(1)), Minter(0).mint, EPOCH_MS)
    first, second = [asyncio.create_task(buffer.wait_for_room(5)) for _ in range(2)]
    await asyncio.sleep(0)
    buffer.release(await buffer.next())
    first.cancel()
    assert await asyncio.wait_for(second, 1)
    assert first.cancelled()


async def test_the_newest_price_of_an_instrument_is_the_last_that_is_one() -> None:
    batch = Batch(0.0)
    mint = Minter(0).mint
    ticks = [
        factories.tick(instrument=name, price=price, sequence=str(number))
        for number, (name, price) in enumerate(
            [("A", 1), ("A", None), ("B", None), ("B", None), ("A", 2), ("A", None)]
        )
    ]
    batch.add(arrival(CONNECTORS[0], *ticks), mint, EPOCH_MS)
    assert {row[4]: row[9] for row in batch.newest()} == {"A": "4", "B": "3"}
