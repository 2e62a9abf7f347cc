import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import process_time
from uuid import UUID

from domain.connectors import (
    Connector,
    ConnectorEvent,
    ConnectorState,
    ConnectorStatus,
    Secrets,
)
from infra.feeds.status import ERROR_LIMIT, Rate, StatusBook
from infra.postgres.database import Database
from infra.system import SystemClock
from tests import factories
from tests.infra.feeds.factories import a_connector, a_lease, a_tick, eventually
from tests.infra.feeds.processes import a_store, save, status

MOMENT = datetime(2026, 11, 21, tzinfo=UTC)


class Drawer:
    """Keeps every status it was given; can be shut."""

    def __init__(self) -> None:
        self.kept: list[list[ConnectorStatus]] = []
        self.shut = False

    async def save_statuses(self, statuses: Sequence[ConnectorStatus]) -> None:
        if self.shut:
            raise ConnectionRefusedError("no database")
        self.kept.append(list(statuses))


def a_book(drawer: Drawer | None = None) -> tuple[StatusBook, list[ConnectorStatus], Drawer]:
    published: list[ConnectorStatus] = []
    drawer = drawer or Drawer()
    return StatusBook(drawer, SystemClock(), published.append), published, drawer


def a_keeper(book: StatusBook, connector: Connector | None = None):
    return book.open(a_lease(connector or a_connector("ws://x/")), None)


async def test_every_change_of_state_is_published_in_order() -> None:
    book, published, drawer = a_book()
    keeper = a_keeper(book)
    for event in (
        ConnectorEvent.STARTED,
        ConnectorEvent.CONNECTED,
        ConnectorEvent.CONNECTED,
        ConnectorEvent.FELL_SILENT,
        ConnectorEvent.DISCONNECTED,
    ):
        keeper.happened(event)
    await book.flush()
    states = [told.state.name for told in published]
    assert states == ["STARTING", "RUNNING", "STALE", "RECONNECTING"]
    assert [kept.state for kept in drawer.kept[0]] == [ConnectorState.RECONNECTING]


async def test_telling_of_a_thousand_connectors_holds_nobody_up() -> None:
    book, published, _ = a_book()
    for _ in range(1_000):
        a_keeper(book).happened(ConnectorEvent.STARTED)
    began = process_time()
    await book.flush()
    assert process_time() - began < 0.5
    assert len(published) == 1_000


async def test_figures_are_stored_and_published_at_most_once_a_second() -> None:
    book, published, drawer = a_book()
    keeper = a_keeper(book)
    running = asyncio.create_task(book.run())
    for _ in range(150):
        book.committed(keeper.lease.connector_id, 1, MOMENT, [1.0])
        await asyncio.sleep(0.01)
    await eventually(lambda: published and published[-1].message_count == 150)
    running.cancel()
    assert 2 <= len(drawer.kept) <= 4
    assert len(published) <= 4


async def test_what_did_not_change_is_not_stored_again() -> None:
    book, published, drawer = a_book()
    a_keeper(book)
    await book.flush()
    await book.flush()
    assert (len(drawer.kept), len(published)) == (1, 1)


async def test_without_the_database_statuses_are_published_and_stored_later() -> None:
    book, published, drawer = a_book()
    keeper = a_keeper(book)
    drawer.shut = True
    keeper.happened(ConnectorEvent.STARTED)
    await book.flush()
    assert [told.state for told in published] == [ConnectorState.STARTING]
    drawer.shut = False
    await book.flush()
    assert drawer.kept[0][0].state is ConnectorState.STARTING


async def test_delays_are_percentiles_of_the_recent_ones() -> None:
    book, _, _ = a_book()
    keeper = a_keeper(book)
    assert keeper.status().delay_p50_ms is None
    keeper.committed(5_000, [9_999.0] * 5_000)
    keeper.committed(1_000, [float(ms) for ms in range(1_000)])
    assert (keeper.status().delay_p50_ms, keeper.status().delay_p95_ms) == (500.0, 949.0)


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    rate = Rate(started=1_000.0)
    rate.add(30, 1_000.2)
    assert rate.per_second(1_000.5) == 30.0
    assert rate.per_second(1_003.0) == 10.0
    for second in range(100):
        rate.add(7, 1_010.0 + second)
    assert rate.per_second(1_109.5) == 7.0
    assert rate.per_second(1_130.0) == 0.0


async def test_what_the_writer_gave_up_is_counted_and_new_again() -> None:
    book, _, _ = a_book()
    keeper = a_keeper(book)
    keeper.sequences.admit([a_tick("a"), a_tick("b")])
    book.shed(keeper.lease.connector_id, [a_tick("a")], 2)
    assert keeper.status().shed_count == 3
    assert len(keeper.sequences.admit([a_tick("a"), a_tick("b")]).ticks) == 1


async def test_errors_are_short_and_without_secrets_in_any_spelling() -> None:
    book, _, _ = a_book()
    keeper = a_keeper(book)
    keeper.hide(Secrets(api_key="key/with spaces", headers={"X-Team": "team-12345"}))
    keeper.note("GET /?k=key%2Fwith%20spaces X-Team: team-12345 key/with spaces\0 \ud800")
    assert keeper.last_error is not None
    assert "spaces" not in keeper.last_error
    assert "12345" not in keeper.last_error
    keeper.last_error.encode()
    assert "\0" not in keeper.last_error
    keeper.note("x" * 10_000)
    assert len(keeper.last_error) == ERROR_LIMIT


async def test_counts_go_on_from_what_was_stored_and_only_under_the_lease(
    database: Database,
) -> None:
    connector = await save(database, a_connector("ws://x/"))
    lease = a_lease(connector, epoch=7)
    await database.pool.execute(
        "update connector_status set leased_by = $2, lease_epoch = 7, message_count = 40 "
        "where connector_id = $1",
        connector.id,
        lease.holder,
    )
    store = a_store(database)
    loaded = await store.load(connector.id)
    assert loaded is not None
    book = StatusBook(store, SystemClock(), lambda status: None)
    keeper = book.open(lease, loaded.status)
    keeper.happened(ConnectorEvent.STARTED, "why")
    keeper.committed(2, [1.5])
    keeper.last_message_at = MOMENT
    await book.flush()
    told = await status(database, connector)
    assert (told.message_count, told.state) == (42, ConnectorState.STARTING)
    assert (told.last_message_at, told.last_error) == (MOMENT, "why")
    assert (told.delay_p50_ms, told.leased_by) == (1.5, lease.holder)

    await database.pool.execute("update connector_status set lease_epoch = 8")
    keeper.committed(1, [])
    await book.flush()
    assert (await status(database, connector)).message_count == 42


async def test_the_newest_keys_come_first_and_a_lost_connector_is_told(database: Database) -> None:
    connector = await save(database, a_connector("ws://x/"))
    store = a_store(database)
    assert await store.recent_keys(connector.id, 10) == []
    moment = datetime.now(UTC)
    for number, key in enumerate(["t:1", "t:2", None, "t:3", None]):
        (message,) = factories.messages(
            1, start=moment + timedelta(seconds=number), connector_id=connector.id
        )
        await factories.store(database, [message])
        await database.pool.execute("update messages set key = $2 where id = $1", message.id, key)
    assert [stored.key for stored in await store.recent_keys(connector.id, 4)] == ["t:3", "t:2"]
    assert await store.enabled(connector.id) is True
    missing = UUID(int=1)
    assert await store.enabled(missing) is None
    assert await store.load(missing) is None
