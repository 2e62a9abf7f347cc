import itertools
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.errors import InvalidInput
from domain.identity import Viewer
from domain.messages import Message, MessageFilter, MessageOrder, MessageType, Side
from domain.paging import Page, Window, window
from domain.positions import Position, first_id_at, node_of
from infra.postgres.database import Database, Source
from infra.postgres.message_log import DroppedMeanwhile, PostgresMessageLog, edge_cursor
from infra.postgres.message_query import select_messages
from infra.postgres.partitions import Partitions
from infra.postgres.tenancy import Tenancy
from tests import factories, tenants
from tests.factories import HOME_WORKSPACE_ID, NOW

HOME = MessageFilter(HOME_WORKSPACE_ID)
VIEWER = Viewer(HOME_WORKSPACE_ID)
OTHER_WORKSPACE = UUID(int=99)
FIRST, SECOND = UUID(int=1), UUID(int=2)


def stream() -> list[Message]:
    """Sixty messages of two nodes over three days: three instruments, two connectors, two types, two workspaces."""
    found = []
    for number in range(60):
        moment = NOW + timedelta(hours=number)
        found.append(
            factories.message(
                id=factories.message_id(moment, node=number % 2),
                received_at=moment,
                workspace_id=OTHER_WORKSPACE if number % 10 == 9 else HOME_WORKSPACE_ID,
                connector_id=(FIRST, SECOND)[number % 2],
                exchange=("binance", "okx")[number % 2],
                instrument=("BTC-USDT", "ETH-USDT", "SOL-USDT")[number % 3],
                type=(MessageType.TRADE, MessageType.BOOK)[number % 4 // 2],
                price=Decimal(number),
            )
        )
    return found


FILTERS = {
    "all": HOME,
    "instrument": replace(HOME, instruments=frozenset({"BTC-USDT"})),
    "instruments": replace(HOME, instruments=frozenset({"BTC-USDT", "SOL-USDT", "no such"})),
    "connector": replace(HOME, connector_ids=frozenset({FIRST})),
    "connectors": replace(HOME, connector_ids=frozenset({FIRST, SECOND})),
    "exchange": replace(HOME, exchanges=frozenset({"okx"})),
    "type": replace(HOME, types=frozenset({MessageType.BOOK})),
    "times": replace(HOME, since=NOW + timedelta(hours=5), until=NOW + timedelta(hours=40)),
    "everything": replace(
        HOME,
        connector_ids=frozenset({FIRST, SECOND}),
        exchanges=frozenset({"okx", "binance"}),
        instruments=frozenset({"BTC-USDT", "ETH-USDT"}),
        types=frozenset({MessageType.TRADE}),
        since=NOW + timedelta(hours=1),
        until=NOW + timedelta(hours=50),
    ),
    "none": replace(HOME, instruments=frozenset({"no such"})),
}


@pytest.fixture
async def log(database: Database) -> AsyncIterator[PostgresMessageLog]:
    await factories.store(database, stream())
    return PostgresMessageLog(database)


async def walk(
    log: PostgresMessageLog, filter: MessageFilter, order: MessageOrder, size: int, backward: bool
) -> list[Message]:
    seen: list[Message] = []
    cursor = None
    while True:
        asked = window(last=size, before=cursor) if backward else window(first=size, after=cursor)
        found = await log.page(filter, order, asked)
        nodes = [edge.node for edge in found.edges]
        seen = nodes + seen if backward else seen + nodes
        more = found.page_info.has_previous_page if backward else found.page_info.has_next_page
        if not more:
            return seen
        cursor = found.page_info.start_cursor if backward else found.page_info.end_cursor


@pytest.mark.parametrize("name", FILTERS)
async def test_all_pages_together_are_what_the_filter_admits(
    log: PostgresMessageLog, name: str
) -> None:
    admitted = [message for message in stream() if FILTERS[name].admits(message)]
    for order, size, backward in itertools.product(MessageOrder, (1, 7, 100), (False, True)):
        expected = admitted if order is MessageOrder.OLDEST_FIRST else admitted[::-1]
        assert await walk(log, FILTERS[name], order, size, backward) == expected
    page = await log.page(FILTERS[name], MessageOrder.NEWEST_FIRST, window(first=1))
    assert await page.count() == len(admitted)


async def test_a_window_can_be_bounded_on_both_sides(log: PostgresMessageLog) -> None:
    messages = [message for message in stream() if HOME.admits(message)][::-1]
    after, before = edge_cursor(messages[10].id), edge_cursor(messages[30].id)

    def ids(page: Page[Message]) -> list[int]:
        return [edge.node.id for edge in page.edges]

    between = [message.id for message in messages[11:30]]
    newest = MessageOrder.NEWEST_FIRST
    assert (
        ids(await log.page(HOME, newest, window(first=100, after=after, before=before))) == between
    )
    assert (
        ids(await log.page(HOME, newest, window(first=3, after=after, before=before)))
        == between[:3]
    )
    assert (
        ids(await log.page(HOME, newest, window(last=3, after=after, before=before)))
        == between[-3:]
    )


async def test_cursors_lead_past_their_own_message(log: PostgresMessageLog) -> None:
    page = await log.page(HOME, MessageOrder.NEWEST_FIRST, window(first=5))
    for edge in page.edges:
        following = await log.page(
            HOME, MessageOrder.NEWEST_FIRST, window(first=1, after=edge.cursor)
        )
        assert following.edges[0].node.id < edge.node.id


@pytest.mark.parametrize(
    "cursor", ["", "x", "Ünï", "AAAA", Position().advanced([5]).encode(), "bQ==", "0" * 500]
)
async def test_a_cursor_of_something_else_is_refused(log: PostgresMessageLog, cursor: str) -> None:
    for asked in (Window(1, False, cursor, None), Window(1, True, None, cursor)):
        with pytest.raises(InvalidInput) as caught:
            await log.page(HOME, MessageOrder.NEWEST_FIRST, asked)
        assert caught.value.field == ("after" if asked.after is not None else "before")


async def test_messages_come_back_exactly_as_stored(database: Database) -> None:
    stored = [
        factories.message(
            price=Decimal("0.1234567891234567"),
            quantity=Decimal("1E+30"),
            side=Side.SELL,
            sequence="a/b",
            event_time=NOW.replace(microsecond=123_456),
            data='{"b":1,  "a":[1e400,"ü"],"a":2}',
            detail='{"bid":"1.50"}',
        ),
        factories.message(
            received_at=NOW + timedelta(milliseconds=1),
            price=None,
            quantity=None,
            side=None,
            event_time=None,
            type=MessageType.OTHER,
        ),
    ]
    await factories.store(database, stored)
    log = PostgresMessageLog(database)
    page = await log.page(HOME, MessageOrder.OLDEST_FIRST, window())
    assert [edge.node for edge in page.edges] == stored
    assert str(page.edges[0].node.price) == "0.1234567891234567"
    assert await log.by_ids(VIEWER, [stored[1].id, 12345]) == {stored[1].id: stored[1]}


async def test_only_the_columns_asked_for_are_read(log: PostgresMessageLog) -> None:
    wanted = frozenset({"price", "instrument"})
    page = await log.page(HOME, MessageOrder.NEWEST_FIRST, window(first=3), wanted)
    for edge in page.edges:
        message: Any = edge.node
        assert (message.id, message.price, message.instrument) != (None, None, None)
        assert (message.data, message.type, message.side, message.received_at) == (None,) * 4
    by_instruments = await log.page(
        FILTERS["instruments"], MessageOrder.NEWEST_FIRST, window(first=3), wanted
    )
    assert [edge.node.data for edge in by_instruments.edges] == [None] * 3


async def test_another_workspace_sees_nothing_of_this_one(log: PostgresMessageLog) -> None:
    ids = [message.id for message in stream()]
    found = await log.by_ids(Viewer(OTHER_WORKSPACE), ids)
    assert {message.workspace_id for message in found.values()} == {OTHER_WORKSPACE}
    assert len(found) == 6


async def test_a_snapshot_page_and_its_position_are_of_one_moment(
    log: PostgresMessageLog, database: Database
) -> None:
    found = await log.snapshot(HOME, MessageOrder.NEWEST_FIRST, window(first=2))
    assert found.position == Position().advanced(message.id for message in stream())
    assert found.position == await log.position()
    assert [edge.node for edge in found.edges] == [stream()[58], stream()[57]]
    assert (await PostgresMessageLog(database).dropped()) == Position()


async def replayed(
    log: PostgresMessageLog, filter: MessageFilter, after: Position, upto: Position, chunk: int = 7
) -> list[Message]:
    chunks = [messages async for messages in log.replay(filter, after, upto, chunk)]
    assert all(0 < len(messages) <= chunk for messages in chunks)
    return list(itertools.chain.from_iterable(chunks))


@pytest.mark.parametrize("name", FILTERS)
async def test_replay_gives_what_lies_between_two_positions_by_node(
    log: PostgresMessageLog, name: str
) -> None:
    messages = stream()
    after = Position().advanced(message.id for message in messages[:20] if node_of(message.id) == 0)
    after = after.advanced(message.id for message in messages[:31] if node_of(message.id) == 1)
    upto = Position().advanced(message.id for message in messages[:50])
    expected = [
        message
        for message in messages
        if FILTERS[name].admits(message) and upto.has(message.id) and not after.has(message.id)
    ]
    assert await replayed(log, FILTERS[name], after, upto) == expected


async def test_replay_knows_nodes_that_the_reader_has_never_seen(log: PostgresMessageLog) -> None:
    messages = stream()
    after = Position().advanced([messages[58].id])
    upto = Position().advanced(message.id for message in messages)
    expected = [
        message for message in messages if node_of(message.id) == 1 and HOME.admits(message)
    ]
    assert await replayed(log, HOME, after, upto) == expected
    assert await replayed(log, HOME, upto, upto) == []
    assert await replayed(log, HOME, upto, after) == []
    assert await replayed(log, HOME, upto, Position()) == []


async def test_replay_holds_no_connection_between_chunks(database_url: str) -> None:
    async with Database(database_url, pool_size=1) as database:
        await factories.store(database, factories.messages(30))
        log = PostgresMessageLog(database)
        async for messages in log.replay(HOME, Position(), await log.position(), 10):
            assert len(messages) == 10
            assert await log.position() != Position()


async def add_batches(database: Database, *commits: list[Message]) -> None:
    for messages in commits:
        for connector_id in {message.connector_id for message in messages}:
            ids = [message.id for message in messages if message.connector_id == connector_id]
            await factories.save(database, factories.batch(ids[0], ids[-1], connector_id, len(ids)))


async def test_a_quiet_node_is_read_from_its_next_batch_not_from_its_last_message(
    database: Database,
) -> None:
    old = factories.messages(4, node=2, start=NOW - timedelta(hours=9))
    busy = factories.messages(50, node=1, start=NOW - timedelta(hours=3))
    new = [
        replace(message, connector_id=(FIRST, SECOND)[number % 2])
        for number, message in enumerate(factories.messages(6, node=2, start=NOW))
    ]
    await factories.store(database, old + busy + new)
    await add_batches(database, old[:2], old[2:], busy, new)
    log = PostgresMessageLog(database)
    upto = await log.position()
    seen = Position().advanced([busy[-1].id, old[-1].id])
    assert await replayed(log, HOME, seen, upto) == new
    assert await log._first_unseen(seen, {2: upto.of(2)}) == new[0].id
    half = Position().advanced([busy[-1].id, old[2].id])
    assert await replayed(log, HOME, half, upto) == [old[3], *new]
    rows = await log.rows_between(2, old[-1].id, new[-2].id, 100)
    assert rows == [factories.row(message) for message in new[:-1]]
    assert await log.rows_between(2, old[1].id, new[-1].id, 3) == [
        factories.row(message) for message in [*old[2:], new[0]]
    ]


async def test_retention_that_overtakes_a_replay_is_told(database: Database) -> None:
    messages = factories.messages(20, node=3)
    await factories.store(database, messages)
    log = PostgresMessageLog(database)
    replay = log.replay(HOME, Position(), await log.position(), 10)
    assert await anext(replay) == messages[:10]
    await database.pool.execute("update nodes set dropped_id = $1 where node = 3", messages[14].id)
    with pytest.raises(DroppedMeanwhile) as caught:
        await anext(replay)
    assert caught.value.dropped == Position({3: messages[14].id})


BULK = """
    insert into messages
    select id_of_start + (n::bigint * 60000 << 22), $1, case when n % 100 = 0 then $2::uuid else $3::uuid end,
           'binance', 'I' || n % 50, case when n % 7 = 0 then 'book' else 'trade' end, n, n, 'buy', null, null,
           $4::timestamptz + n * interval '1 minute', '{}', null
    from generate_series(0, 9999) n, (select $5::bigint as id_of_start) start
"""


async def rows_read(source: Source, filter: MessageFilter, ascending: bool = False) -> int:
    """How many rows a page of 51 makes PostgreSQL look at."""
    statement = select_messages(filter, ascending=ascending, limit=51)
    explain = f"explain (analyze, format json) {statement.text}"
    async with source.acquire() as connection:
        plan = json.loads(await connection.fetchval(explain, *statement.arguments))[0]["Plan"]

    def scanned(node: dict[str, Any]) -> float:
        own = 0.0
        if "Relation Name" in node:
            removed = node.get("Rows Removed by Filter", 0) + node.get(
                "Rows Removed by Index Recheck", 0
            )
            own = (node["Actual Rows"] + removed) * node["Actual Loops"]
        return own + sum(scanned(child) for child in node.get("Plans", []))

    return round(scanned(plan))


async def test_pages_read_hardly_more_rows_than_they_show_also_as_a_viewer(
    database: Database, databases: Tenancy
) -> None:
    await Partitions(24).ensure_for(
        database.pool, first_id_at(NOW), first_id_at(NOW + timedelta(days=8))
    )
    await database.pool.execute(BULK, HOME_WORKSPACE_ID, FIRST, SECOND, NOW, first_id_at(NOW))
    await database.pool.execute("analyze")
    for source in (database, databases.seen_by(tenants.HOME)):
        await check_pages(source)


async def test_a_small_workspaces_page_reads_nothing_of_a_large_one(
    database: Database, databases: Tenancy
) -> None:
    await Partitions(24).ensure_for(
        database.pool, first_id_at(NOW), first_id_at(NOW + timedelta(days=8))
    )
    other = await tenants.a_tenant(database)
    await database.pool.execute(BULK, other.workspace_id, FIRST, SECOND, NOW, first_id_at(NOW))
    await factories.store(database, factories.messages(3, node=1))
    await database.pool.execute("analyze")
    statement = select_messages(HOME, ascending=False, limit=51)
    given = "".join(f"('{value}')" for value in statement.arguments)
    async with databases.seen_by(tenants.HOME).acquire() as connection:
        # What a connection comes to after some executions: one plan for whatever the parameters are.
        await connection.execute("set local plan_cache_mode = force_generic_plan")
        await connection.execute(f"prepare page as {statement.text}")
        plan = await connection.fetch(f"explain analyze execute page{given}")
        await connection.execute("deallocate page")
    assert sum(int(rows) for rows in re.findall(r"Removed by Filter: (\d+)", str(plan))) == 0


async def check_pages(database: Source) -> None:
    names = frozenset({"I1", "I7", "I30"})
    for ascending in (False, True):
        assert await rows_read(database, HOME, ascending) <= 60
        one = replace(HOME, instruments=frozenset({"I1"}))
        assert await rows_read(database, one, ascending) <= 60
        several = replace(HOME, instruments=names)
        assert await rows_read(database, several, ascending) <= 3 * 60
        connector = replace(HOME, connector_ids=frozenset({FIRST}))
        assert await rows_read(database, connector, ascending) <= 60
        late = replace(HOME, since=NOW + timedelta(days=6), instruments=names)
        assert await rows_read(database, late, ascending) <= 3 * 60
        early = replace(HOME, until=NOW + timedelta(days=1))
        assert await rows_read(database, early, ascending) <= 60
