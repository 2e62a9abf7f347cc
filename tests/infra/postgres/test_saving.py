"""Messages that clients save themselves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from domain.errors import InvalidInput, NotFound
from domain.identity import Viewer
from domain.messages import MessageType, NewMessage, SavedMessages, Side
from domain.positions import Position, node_of
from infra.postgres.database import Database
from infra.postgres.saving import MessageSaver
from infra.system import SystemClock
from tests import factories
from tests.infra.postgres.test_writer_troubles import Sabotage
from tests.infra.postgres.writing import Writing, a_connector, numbered, rows, sequences, writing
from tests.tenants import HOME, tenancy


@asynccontextmanager
async def saving(database: Database, **options: Any) -> AsyncIterator[tuple[Writing, MessageSaver]]:
    async with writing(database, **options) as w, tenancy(database.url) as databases:
        yield w, MessageSaver(databases, w.writer, SystemClock())


def new(*numbers: int, **values: Any) -> Sequence[NewMessage]:
    return [NewMessage(instrument="BTC-USDT", sequence=str(n), **values) for n in numbers]


async def test_saved_messages_are_stored_and_announced(database: Database) -> None:
    connector_id = await a_connector(database)
    message = NewMessage(
        instrument="ETH-USDT",
        type=MessageType.QUOTE,
        price=Decimal("0.1234567891234567"),
        quantity=Decimal(2),
        side=Side.SELL,
        event_time=factories.NOW,
        data='{"a": 1.0}',
    )
    async with saving(database) as (w, saver):
        saved = await saver.save(HOME, connector_id, "mine", [message], "k")
        (row,) = await rows(database)
        assert saved == SavedMessages(
            connector_id, row["id"], 1, False, Position({w.lease.node: row["id"]}).encode()
        )
        await w.drained()
        assert w.announced.ids == [row["id"]]
    assert (row["exchange"], row["instrument"], row["type"]) == ("mine", "ETH-USDT", "quote")
    assert (row["price"], row["side"], row["data"]) == (message.price, "sell", '{"a": 1.0}')
    (batch,) = await rows(database, "message_batches")
    assert (batch["idempotency_key"], batch["message_count"]) == ("k", 1)


async def test_they_are_in_order_with_what_connectors_bring(database: Database) -> None:
    connector_id = await a_connector(database)
    async with saving(database, batch_age_ms=5000) as (w, saver):
        await w.put(connector_id, *numbered(1, 2))
        save = asyncio.create_task(saver.save(HOME, connector_id, "mine", new(3), "k"))
        while not w.writer._buffer._batches or not w.writer._buffer._batches[-1].job:
            await asyncio.sleep(0)
        await w.put(connector_id, *numbered(4))
        saved = await save
        await w.drained()
        stored = await rows(database)
        assert [int(row["sequence"]) for row in stored] == [1, 2, 3, 4]
        assert w.announced.ids == [row["id"] for row in stored]
        assert Position.decode(saved.cursor).of(w.lease.node) == stored[2]["id"]


async def test_the_same_key_twice_stores_once(database: Database) -> None:
    connector_id = await a_connector(database)
    async with saving(database) as (w, saver):
        first = await saver.save(HOME, connector_id, "mine", new(1, 2), "k")
        again = await saver.save(HOME, connector_id, "mine", new(1, 2), "k")
        await saver.save(HOME, connector_id, "mine", new(1, 2), "another")
        await w.drained()
        assert len(w.announced.ids) == 4
    assert (again.batch_id, again.saved_count, again.repeated) == (first.batch_id, 2, True)
    assert await sequences(database) == [1, 2, 1, 2]


@pytest.mark.parametrize("writers", [1, 2])
async def test_the_same_key_at_once_stores_once(database: Database, writers: int) -> None:
    connector_id = await a_connector(database)
    async with saving(database) as (_, one), saving(database) as (_, other):
        savers = [one, other if writers == 2 else one] * 5
        results = await asyncio.gather(
            *(saver.save(HOME, connector_id, "mine", new(1, 2), "k") for saver in savers)
        )
    assert await sequences(database) == [1, 2]
    assert sorted(result.repeated for result in results) == [False] + [True] * 9
    assert len({result.batch_id for result in results}) == 1


async def test_a_key_belongs_to_one_content(database: Database) -> None:
    connector_id = await a_connector(database)
    async with saving(database) as (_, saver):
        await saver.save(HOME, connector_id, "mine", new(1, price=Decimal("1.0")), "k")
        for exchange, messages in (
            ("mine", new(1, price=Decimal("1.00"))),
            ("mine", new(1, 2, price=Decimal("1.0"))),
            ("theirs", new(1, price=Decimal("1.0"))),
        ):
            with pytest.raises(InvalidInput) as refusal:
                await saver.save(HOME, connector_id, exchange, messages, "k")
            assert refusal.value.field == "idempotencyKey"
    assert await sequences(database) == [1]


async def test_a_key_is_the_connectors_own(database: Database) -> None:
    async with saving(database) as (_, saver):
        for number in (1, 2):
            connector_id = await a_connector(database)
            await saver.save(HOME, connector_id, "mine", new(number), "k")
    assert await sequences(database) == [1, 2]


@pytest.mark.parametrize("sent", [True, False], ids=["committed", "not committed"])
async def test_a_lost_answer_stores_once_and_is_no_repetition(
    database: Database, sent: bool
) -> None:
    connector_id = await a_connector(database)
    async with saving(database, connect=Sabotage(database.url, 1, sent)) as (w, saver):
        saved = await saver.save(HOME, connector_id, "mine", new(1), "k")
        await w.drained()
        assert w.announced.ids == [saved.batch_id]
    assert not saved.repeated
    assert await sequences(database) == [1]


async def test_ten_thousand_are_one_transaction_and_none_of_them_may_be_wrong(
    database: Database,
) -> None:
    connector_id = await a_connector(database)
    messages = [*new(*range(9_999)), NewMessage(instrument="BTC-USDT", price=Decimal("NaN"))]
    async with saving(database) as (_, saver):
        with pytest.raises(InvalidInput) as refusal:
            await saver.save(HOME, connector_id, "mine", messages, "k")
        assert refusal.value.field == "messages.9999.price"
        assert await sequences(database) == []
        saved = await saver.save(HOME, connector_id, "mine", new(*range(10_000)), "k")
    assert saved.saved_count == 10_000
    assert len(await rows(database, "message_batches")) == 1


async def test_what_only_the_database_refuses_is_refused_and_holds_up_nothing(
    database: Database,
) -> None:
    connector_id = await a_connector(database)
    nested = "[" * 900 + "]" * 900
    messages = [*new(1), NewMessage(instrument="BTC-USDT", data=nested)]
    async with saving(database, connect=_shallow(database)) as (w, saver):
        with pytest.raises(InvalidInput) as refusal:
            await saver.save(HOME, connector_id, "mine", messages, "k")
        assert refusal.value.field == "messages"
        await w.put(connector_id, *numbered(2))
        await w.drained()
    assert await sequences(database) == [2]


def _shallow(database: Database) -> Any:
    async def connect() -> Any:
        connection = await asyncpg.connect(database.url)
        await connection.execute("set max_stack_depth = '100kB'")
        return connection

    return connect


async def test_others_connectors_cannot_be_saved_to(database: Database) -> None:
    connector_id = await a_connector(database)
    async with saving(database) as (_, saver):
        for viewer, id in (
            (Viewer(factories.new_id()), connector_id),
            (HOME, factories.new_id()),
        ):
            with pytest.raises(NotFound):
                await saver.save(viewer, id, "mine", new(1), "k")


@pytest.mark.parametrize("key", ["", "  ", "a" * 201, "nul\0"])
async def test_a_key_must_be_one(database: Database, key: str) -> None:
    async with saving(database) as (_, saver):
        with pytest.raises(InvalidInput) as refusal:
            await saver.save(HOME, await a_connector(database), "mine", new(1), key)
    assert refusal.value.field == "idempotencyKey"


async def test_a_save_that_nobody_waits_for_any_more_is_not_stored(database: Database) -> None:
    connector_id = await a_connector(database)
    async with saving(database) as (w, saver):
        async with database.acquire() as connection, connection.transaction():
            await connection.execute("lock table messages in share mode")
            await w.put(connector_id, *numbered(1))
            save = asyncio.create_task(saver.save(HOME, connector_id, "mine", new(2), "k"))
            await asyncio.sleep(0.1)
            save.cancel()
            await asyncio.sleep(0)
        await w.drained()
        assert node_of((await rows(database))[0]["id"]) == w.lease.node
    assert await sequences(database) == [1]


async def test_a_save_is_announced_even_when_its_client_left_before_the_answer(
    database: Database,
) -> None:
    connector_id = await a_connector(database)
    sabotage = Sabotage(database.url, 1, sent=True)
    async with saving(database, connect=sabotage) as (w, saver):
        save = asyncio.create_task(saver.save(HOME, connector_id, "mine", new(1), "k"))

        async def leave() -> None:
            save.cancel()
            await asyncio.sleep(0)

        sabotage.on_loss = leave
        with pytest.raises(asyncio.CancelledError):
            await save
        await w.drained()
        (row,) = await rows(database)
        assert w.announced.ids == [row["id"]]
