"""Storing: order, batches, bookkeeping, announcements."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.messages import (
    MessageType,
    QuarantinedFrame,
    QuarantineReason,
    SequenceGap,
)
from domain.positions import first_id_at, node_of
from infra.postgres.database import Database
from infra.postgres.writer.batch import MESSAGE_FIELDS
from tests import factories
from tests.factories import HOME_WORKSPACE_ID
from tests.infra.postgres.writing import (
    a_connector,
    arrival,
    eventually,
    execute,
    numbered,
    rows,
    sequences,
    writing,
)


async def test_a_tick_is_stored_exactly_as_it_arrived(database: Database) -> None:
    connector_id = await a_connector(database)
    received_at = datetime.now(UTC)
    tick = factories.tick(
        price=Decimal("0.1234567891234567"),
        quantity=Decimal("1.50"),
        side=None,
        sequence="17",
        event_time=received_at - timedelta(milliseconds=3),
        data='{"p":  "0.1234567891234567", "é": "\\u0000"}',
        detail='{"bid": "1.0"}',
        key="trade:BTCUSDT:17",
    )
    async with writing(database) as w:
        await w.put(connector_id, tick, received_at=received_at)
        await w.drained()
    (row,) = await rows(database)
    assert tuple(row)[1:] == (
        HOME_WORKSPACE_ID,
        connector_id,
        "binance",
        "BTC-USDT",
        "trade",
        Decimal("0.1234567891234567"),
        Decimal("1.50"),
        None,
        "17",
        tick.event_time,
        received_at,
        tick.data,
        tick.detail,
        "trade:BTCUSDT:17",
    )
    assert str(row["quantity"]) == "1.50"
    assert row["id"] >= first_id_at(received_at)
    assert node_of(row["id"]) == w.lease.node
    assert w.announced.heard[0].rows == [tuple(row)[:MESSAGE_FIELDS]]


async def test_ids_follow_the_order_of_arrival_and_every_commit_is_announced(
    database: Database,
) -> None:
    connector_id = await a_connector(database)
    async with writing(database, batch_rows=7, batch_age_ms=1) as w:
        for start in range(0, 200, 4):
            await w.put(connector_id, *numbered(*range(start, start + 4)))
            await asyncio.sleep(0.0005)
        await w.drained()
        stored = await rows(database)
        assert [int(row["sequence"]) for row in stored] == list(range(200))
        assert w.announced.ids == [row["id"] for row in stored]
        last = 0
        for announcement in w.announced.heard:
            assert announcement.previous_id == last
            assert announcement.node == w.lease.node
            last = announcement.last_id = announcement.rows[-1][0]
        (node,) = [row for row in await _nodes(database) if row["last_id"]]
        assert node["last_id"] == last


async def _nodes(database: Database) -> list:
    async with database.acquire() as connection:
        return await connection.fetch("select * from nodes order by node")


async def test_it_is_stored_before_it_is_announced(database: Database) -> None:
    connector_id = await a_connector(database)
    seen = []
    async with writing(database) as w:

        async def look() -> None:
            seen.append(await sequences(database))

        w.announced.answer = look
        await w.put(connector_id, *numbered(1, 2))
        await w.drained()
    assert seen == [[1, 2]]


async def test_a_batch_row_tells_what_each_connector_brought(database: Database) -> None:
    first, second = await a_connector(database), await a_connector(database)
    t0 = datetime.now(UTC) - timedelta(seconds=1)
    t1 = t0 + timedelta(milliseconds=250)
    async with writing(database, batch_age_ms=200) as w:
        await w.put(first, *numbered(1, 2, event_time=None), received_at=t0, frame_bytes=100)
        await w.put(second, *numbered(3, event_time=None), received_at=t0, frame_bytes=7)
        await w.put(first, *numbered(4, event_time=None), received_at=t1, frame_bytes=50)
        await w.drained()
    messages = await rows(database)
    batches = {row["connector_id"]: row for row in await rows(database, "message_batches")}
    batch = batches[first]
    assert (batch["id"], batch["last_id"]) == (messages[0]["id"], messages[3]["id"])
    assert (batch["message_count"], batch["byte_count"]) == (3, 150)
    assert (batch["first_received_at"], batch["last_received_at"]) == (t0, t1)
    assert batch["duration_ms"] > 0
    assert (batches[second]["message_count"], batches[second]["byte_count"]) == (1, 7)
    assert sorted(w.observer.stored) == sorted([(first, 3), (second, 1)])
    assert all(700 < delay < 20_000 for delay in w.observer.delays_ms)


async def test_a_delay_begins_when_the_venue_says_it_happened_and_for_candles_when_they_came(
    database: Database,
) -> None:
    connector = await a_connector(database)
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    trade = factories.tick(event_time=long_ago)
    candle = factories.tick(event_time=long_ago, type=MessageType.CANDLE)
    async with writing(database) as w:
        await w.put(connector, trade)
        await w.put(connector, candle)
        await w.drained()
    of_trade, of_candle = w.observer.delays_ms
    assert 300_000 <= of_trade < 320_000
    assert of_candle < 20_000


async def test_a_full_batch_goes_at_once_and_a_small_one_when_it_is_old_enough(
    database: Database,
) -> None:
    connector_id = await a_connector(database)
    async with writing(database, batch_rows=10, batch_age_ms=400) as w:
        started_at = time.monotonic()
        await w.put(connector_id, *numbered(*range(10)))
        await eventually(lambda: w.announced.heard)
        assert time.monotonic() - started_at < 0.35
        started_at = time.monotonic()
        await w.put(connector_id, *numbered(11))
        await asyncio.sleep(0.1)
        await w.put(connector_id, *numbered(12))
        await eventually(lambda: len(w.announced.heard) == 2)
        assert time.monotonic() - started_at > 0.38
        assert len(w.announced.heard[1].rows) == 2


async def test_frames_gaps_and_messages_are_one_transaction(database: Database) -> None:
    connector_id = await a_connector(database)
    gap = SequenceGap(
        id=factories.new_id(),
        workspace_id=HOME_WORKSPACE_ID,
        connector_id=connector_id,
        instrument="BTC-USDT",
        type=MessageType.TRADE,
        after_sequence=4,
        before_sequence=1 << 70,
        missed=1 << 70,
        noticed_at=factories.NOW,
    )
    frame = QuarantinedFrame(
        id=factories.new_id(),
        workspace_id=HOME_WORKSPACE_ID,
        connector_id=connector_id,
        received_at=factories.NOW,
        reason=QuarantineReason.MALFORMED,
        explanation="NUL \0 and half a pair \ud800",
        source="wss://example.com",
        frame=b"{\xff",
        frame_bytes=2,
    )
    async with writing(database) as w:
        await w.put(connector_id, *numbered(5), gaps=[gap])
        await w.put(connector_id, quarantined=frame, frame_bytes=2)
        await w.drained()
        assert w.writer.stats.flushes == 1
    (stored,) = await rows(database, "quarantined_frames")
    assert (stored["frame"], stored["state"], stored["reason"]) == (b"{\xff", "held", "malformed")
    (noticed,) = await rows(database, "sequence_gaps")
    assert (noticed["after_sequence"], noticed["missed"]) == (4, (1 << 63) - 1)
    assert await sequences(database) == [5]


async def test_instruments_keep_the_newest_price(database: Database) -> None:
    connector_id = await a_connector(database)
    async with writing(database) as w:
        for price in (None, "1", "2", None):
            tick = factories.tick(price=None if price is None else Decimal(price))
            await w.put(connector_id, tick)
        await w.put(connector_id, factories.tick(instrument="NEW-USDT", price=None))
        await w.drained()
        assert await _prices(database) == {"BTC-USDT": Decimal(2), "NEW-USDT": None}
        await w.put(connector_id, factories.tick(price=None))
        await w.put(connector_id, factories.tick(instrument="NEW-USDT", price=Decimal(3)))
        await w.drained()
        assert await _prices(database) == {"BTC-USDT": Decimal(2), "NEW-USDT": Decimal(3)}


async def _prices(database: Database) -> dict[str, Decimal | None]:
    async with database.acquire() as connection:
        found = await connection.fetch("select name, last_price from instruments")
    return {row["name"]: row["last_price"] for row in found}


async def test_a_full_buffer_makes_the_reader_wait(database: Database) -> None:
    connector_id = await a_connector(database)
    async with writing(database, buffer_rows=10, batch_rows=10) as w:
        async with database.acquire() as connection, connection.transaction():
            await connection.execute("lock table messages in share mode")
            await w.put(connector_id, *numbered(*range(10)))
            waiting = asyncio.create_task(w.put(connector_id, *numbered(10)))
            await asyncio.sleep(0.2)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 5)
        await w.drained()
        assert await sequences(database) == list(range(11))
        assert w.observer.lost == []


@pytest.mark.parametrize("limit", ["rows", "bytes"])
async def test_what_waits_too_long_is_shed_and_said(database: Database, limit: str) -> None:
    connector_id = await a_connector(database)
    limits = {"buffer_rows": 2} if limit == "rows" else {"buffer_bytes": 20}
    async with writing(database, shed_after_seconds=0.1, **limits) as w:
        async with database.acquire() as connection, connection.transaction():
            await connection.execute("lock table messages in share mode")
            await w.put(connector_id, *numbered(1, 2), frame_bytes=20)
            await w.put(connector_id, *numbered(3), frame_bytes=20)
        await w.drained()
        await w.put(connector_id, *numbered(4))
        await w.drained()
        assert await sequences(database) == [1, 2, 4]
        assert [tick.sequence for tick in w.observer.lost] == ["3"]
        assert w.writer.stats.shed_messages == 1


async def test_a_cancelled_put_gives_its_turn_to_the_next(database: Database) -> None:
    connector_id = await a_connector(database)
    async with writing(database, buffer_rows=1) as w:
        async with database.acquire() as connection, connection.transaction():
            await connection.execute("lock table messages in share mode")
            await w.put(connector_id, *numbered(1))
            puts = [asyncio.create_task(w.put(connector_id, *numbered(n))) for n in range(2, 6)]
            await asyncio.sleep(0.05)
            puts[0].cancel()
            puts[2].cancel()
        await asyncio.wait_for(asyncio.gather(*puts, return_exceptions=True), 5)
        await w.drained()
    assert await sequences(database) == [1, 3, 5]


@pytest.mark.parametrize("failure", ["raises", "hangs"])
async def test_a_bus_that_fails_neither_loses_nor_blocks(database: Database, failure: str) -> None:
    connector_id = await a_connector(database)

    async def fail() -> None:
        if failure == "raises":
            raise ConnectionError("no bus")
        await asyncio.sleep(60)

    async with writing(database, batch_rows=1) as w:
        w.announced.answer = fail
        await w.put(connector_id, *numbered(0))
        for number in range(1, 6):
            await w.put(connector_id, *numbered(number))
        await w.drained()
        w.announced.answer = None
        await w.put(connector_id, *numbered(6))
        await w.drained()
        assert await sequences(database) == list(range(7))
        assert w.writer.stats.unannounced == 6
        (heard,) = w.announced.heard
        assert heard.previous_id == (await rows(database))[5]["id"]


async def test_close_stores_what_is_there_and_gives_the_node_back(database: Database) -> None:
    connector_id = await a_connector(database)
    async with writing(database, batch_age_ms=60_000) as w:
        await w.put(connector_id, *numbered(1, 2))
    assert await sequences(database) == [1, 2]
    (node,) = await _nodes(database)
    assert node["leased_by"] is None
    await w.writer.put(arrival(connector_id, *numbered(3)))
    assert [tick.sequence for tick in w.observer.lost] == ["3"]


async def test_what_close_cannot_store_in_time_is_shed(database: Database) -> None:
    connector_id = await a_connector(database)
    async with (
        writing(database, batch_rows=1) as w,
        database.acquire() as connection,
        connection.transaction(),
    ):
        await connection.execute("lock table messages in share mode")
        await w.put(connector_id, *numbered(1))
        await w.put(connector_id, *numbered(2))
        await asyncio.sleep(0.05)
        started_at = time.monotonic()
        await w.writer.close(0.2)
        assert time.monotonic() - started_at < 5
    assert [tick.sequence for tick in w.observer.lost] == ["1", "2"]
    assert await sequences(database) == []


async def test_rows_without_a_partition_get_one(database: Database) -> None:
    connector_id = await a_connector(database)
    ahead = datetime.now(UTC) + timedelta(days=40)
    async with writing(database) as w:
        await w.put(connector_id, *numbered(1))
        await w.drained()
        await w.put(connector_id, *numbered(2), received_at=ahead)
        await w.drained()
        (partition,) = {row["tableoid"] for row in await _where(database, "2")}
        await execute(database, f"drop table {partition}")
        await w.put(connector_id, *numbered(3), received_at=ahead)
        await w.drained()
    assert await sequences(database) == [1, 3]


async def _where(database: Database, sequence: str) -> list:
    async with database.acquire() as connection:
        return await connection.fetch(
            "select tableoid::regclass::text from messages where sequence = $1", sequence
        )
