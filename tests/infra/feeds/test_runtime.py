import asyncio
from collections.abc import Collection
from contextlib import suppress
from itertools import count
from uuid import UUID, uuid4

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from domain.connectors import Connector, ConnectorState, ConnectorStatus, Secrets
from infra.feeds.arrival import Lease
from infra.feeds.budget import RateBudget
from infra.feeds.guard import Guard
from infra.feeds.plan import RuntimeOptions
from infra.feeds.runtime import Runtime
from infra.feeds.sequences import StoredKey
from infra.feeds.status import StatusBook
from infra.feeds.store import Loaded
from infra.feeds.venues import normalise
from infra.postgres.database import Database
from infra.system import RandomIds, SystemClock
from tests.infra.feeds.factories import (
    Answer,
    Asked,
    Exchange,
    Shelf,
    Source,
    a_connector,
    a_lease,
    a_source,
    a_trade,
    an_exchange,
    eventually,
)
from tests.infra.feeds.processes import (
    OPTIONS,
    a_process,
    change,
    holder,
    save,
    status,
    stored,
    until,
)


async def on_and_on(connection: ServerConnection, exchange: Exchange) -> None:
    with suppress(ConnectionClosed):
        for number in count(1):
            await connection.send(a_trade(number))
            await asyncio.sleep(0.01)


async def three(connection: ServerConnection, exchange: Exchange) -> None:
    for number in (1, 2, 3):
        await connection.send(a_trade(number))


async def test_enabled_connectors_run_and_tell_how_they_do(database: Database) -> None:
    async with an_exchange(three) as exchange, a_process(database) as process:
        running = await save(database, a_connector(exchange.url))
        resting = await save(database, a_connector(exchange.url, enabled=False))
        await until(lambda: _counted(database, running, 3))
        told = await status(database, running)
        assert told.state is ConnectorState.RUNNING
        assert told.last_message_at is not None
        assert told.message_rate > 0
        assert told.delay_p50_ms is not None
        assert told.delay_p95_ms is not None
        assert 0 < told.delay_p50_ms <= told.delay_p95_ms
        assert process.states(running)[-2:] == ["STARTING", "RUNNING"]
        assert (await status(database, resting)).state is ConnectorState.INACTIVE
        assert await stored(database, running) == ["1", "2", "3"]


async def test_one_failing_connector_does_not_disturb_another(database: Database) -> None:
    def rubbish(asked: Asked, source: Source) -> Answer:
        return 200, {}, b"\x00 rubbish"

    async with an_exchange(on_and_on) as exchange, a_source(rubbish) as source:
        good = await save(database, a_connector(exchange.url))
        sealed = await save(database, a_connector(exchange.url, sealed=b"not sealed by any key"))
        closed = await save(database, a_connector("ws://127.0.0.1:1/ws"))
        broken = await save(database, a_connector(exchange.url, signing={"x": 1}, auth_type="hmac"))
        noise = await save(database, a_connector(source.url))
        async with a_process(database) as process:
            await until(lambda: _is(database, sealed, ConnectorState.ERROR))
            await until(lambda: _is(database, closed, ConnectorState.RECONNECTING))
            await until(lambda: _is(database, broken, ConnectorState.ERROR))
            await eventually(lambda: len(process.runtime.connector_ids) == 5)
            before = await stored(database, good)
            await until(lambda: _more(database, good, len(before) + 20))
            assert "STALE" not in process.states(good)
            assert process.states(good)[-1] == "RUNNING"
            assert (await status(database, good)).reconnect_count == 0
        assert (await status(database, noise)).quarantined_count > 0
        assert "no key" in ((await status(database, sealed)).last_error or "")


async def test_a_changed_configuration_is_read_anew_and_nothing_is_stored_twice(
    database: Database,
) -> None:
    async def five(connection: ServerConnection, exchange: Exchange) -> None:
        for number in range(1, 6):
            await connection.send(a_trade(number))

    async with an_exchange(three) as old, an_exchange(five) as new:
        changing = await save(database, a_connector(old.url))
        async with a_process(database):
            await until(lambda: _counted(database, changing, 3))
            await change(database, changing, url=new.url, version=2)
            await until(lambda: _counted(database, changing, 5))
            assert (await status(database, changing)).duplicate_count == 3
        assert await stored(database, changing) == ["1", "2", "3", "4", "5"]


async def test_a_stopped_connector_is_let_go(database: Database) -> None:
    async with an_exchange(on_and_on) as exchange, a_process(database) as process:
        stopping = await save(database, a_connector(exchange.url))
        await until(lambda: _more(database, stopping, 3))
        await change(database, stopping, enabled=False)
        await until(lambda: _free(database, stopping))
        told = await status(database, stopping)
        assert told.state is ConnectorState.STOPPED
        assert told.message_count == len(await stored(database, stopping))
        assert process.states(stopping)[-1] == "STOPPED"
        await eventually(lambda: exchange.connections[0].state.name != "OPEN")


async def test_a_deleted_connector_is_let_go(database: Database) -> None:
    async with an_exchange(on_and_on) as exchange, a_process(database) as process:
        deleted = await save(database, a_connector(exchange.url))
        await until(lambda: _more(database, deleted, 3))
        await database.pool.execute("delete from connectors where id = $1", deleted.id)
        await eventually(lambda: not process.runtime.connector_ids)


async def test_a_nudge_is_enough_to_look_at_once(database: Database) -> None:
    async with an_exchange(three) as exchange, a_process(database, look_seconds=60.0) as process:
        await asyncio.sleep(0.2)
        started = await save(database, a_connector(exchange.url))
        process.runtime.wake()
        await until(lambda: _counted(database, started, 3), seconds=3.0)


async def test_what_ran_before_a_restart_runs_after_it(database: Database) -> None:
    async with an_exchange(three) as exchange:
        lasting = await save(database, a_connector(exchange.url))
        async with a_process(database) as first:
            await until(lambda: _counted(database, lasting, 3))
            began = asyncio.get_running_loop().time()
            await first.stop()
            assert asyncio.get_running_loop().time() - began < 3
            told = await status(database, lasting)
            assert (told.state, told.leased_by) == (ConnectorState.INACTIVE, None)
        async with a_process(database):
            await until(lambda: _is(database, lasting, ConnectorState.RUNNING))
            told = await status(database, lasting)
            assert told.message_count == 3
            await until(lambda: _duplicates(database, lasting, 3))
        assert await stored(database, lasting) == ["1", "2", "3"]


async def test_two_processes_run_a_connector_once_and_the_other_takes_over(
    database: Database,
) -> None:
    async with an_exchange(three) as exchange:
        shared = await save(database, a_connector(exchange.url))
        async with a_process(database) as first, a_process(database) as second:
            await until(lambda: _counted(database, shared, 3))
            await asyncio.sleep(0.5)
            assert len(exchange.connections) == 1
            runner, other = first, second
            if shared.id in second.runtime.connector_ids:
                runner, other = second, first
            await runner.die()
            await eventually(lambda: shared.id in other.runtime.connector_ids, seconds=4)
            await until(lambda: _duplicates(database, shared, 3))
            assert len(exchange.connections) == 2
            assert await stored(database, shared) == ["1", "2", "3"]


async def test_a_lease_that_somebody_else_took_ends_the_reading(database: Database) -> None:
    async with an_exchange(on_and_on) as exchange:
        taken = await save(database, a_connector(exchange.url))
        async with a_process(database, look_seconds=60.0) as process:
            await until(lambda: _more(database, taken, 3))
            thief = uuid4()
            await database.pool.execute(
                "update connector_status set leased_by = $2, lease_epoch = lease_epoch + 1, "
                "leased_until = now() + interval '1 minute', state = 'stale' "
                "where connector_id = $1",
                taken.id,
                thief,
            )
            await eventually(lambda: taken.id not in process.runtime.connector_ids, seconds=2)
            await asyncio.sleep(0.3)
            told = await status(database, taken)
            assert (told.leased_by, told.state) == (thief, ConnectorState.STALE)


async def test_what_was_stopped_while_its_process_died_is_called_stopped(
    database: Database,
) -> None:
    orphan = await save(database, a_connector("ws://127.0.0.1:9/", enabled=False))
    await database.pool.execute(
        "update connector_status set leased_by = $1, leased_until = now() + interval '0.5 s', "
        "state = 'running', message_rate = 5",
        uuid4(),
    )
    async with a_process(database) as process:
        await asyncio.sleep(0.2)
        assert (await status(database, orphan)).state is ConnectorState.RUNNING
        await until(lambda: _is(database, orphan, ConnectorState.STOPPED))
        told = await status(database, orphan)
        assert (told.leased_by, told.message_rate) == (None, 0)
        assert [told.state for told in process.published] == [ConnectorState.STOPPED]


class OnePlace:
    """Leases and configuration of one connector, from a database that can be away."""

    def __init__(self, made: Connector) -> None:
        self.made = made
        self.away = False
        self.released: list[UUID] = []
        self._lease = a_lease(made)

    def _check(self) -> None:
        if self.away:
            raise ConnectionRefusedError("no database")

    async def claim(self) -> list[Lease]:
        self._check()
        return [self._lease]

    async def renew(self) -> set[UUID]:
        self._check()
        return {self.made.id}

    async def release(self, connector_ids: Collection[UUID]) -> None:
        self._check()
        self.released += connector_ids

    async def load(self, connector_id: UUID) -> Loaded | None:
        self._check()
        return Loaded(self.made, None)

    def open_secrets(self, loaded: Loaded) -> Secrets:
        return Secrets()

    async def note_use(self, loaded: Loaded) -> None:
        pass

    async def enabled(self, connector_id: UUID) -> bool | None:
        self._check()
        return True

    async def settle(self) -> list[ConnectorStatus]:
        return []

    async def recent_keys(self, connector_id: UUID, limit: int) -> list[StoredKey]:
        return []

    async def save_statuses(self, statuses: Collection[object]) -> None:
        self._check()


class Crowd(OnePlace):
    """Many connectors at once, each slow to load and then gone."""

    loading = loaded = most = 0

    async def claim(self) -> list[Lease]:
        return [a_lease(a_connector("ws://x/")) for _ in range(40)] if not self.loaded else []

    async def load(self, connector_id: UUID) -> Loaded | None:
        self.loading += 1
        self.most = max(self.most, self.loading)
        await asyncio.sleep(0.01)
        self.loading -= 1
        self.loaded += 1
        return None


async def test_a_crowd_of_connectors_is_loaded_in_turn() -> None:
    crowd = Crowd(a_connector("ws://x/"))
    book = StatusBook(crowd, SystemClock(), lambda status: None)
    options = {**OPTIONS, "loads_at_once": 3, "look_seconds": 60.0}
    runtime = Runtime(
        crowd,
        crowd,
        Shelf(),
        book,
        Guard(),
        RateBudget(),
        normalise,
        SystemClock(),
        RandomIds(),
        RuntimeOptions(**options),
    )
    await runtime.start()
    try:
        await eventually(lambda: crowd.loaded == 40)
    finally:
        await runtime.stop()
    assert crowd.most == 3


async def test_without_the_database_reading_ends_when_the_lease_does_and_begins_again() -> None:
    async with an_exchange(on_and_on) as exchange:
        place, shelf = OnePlace(a_connector(exchange.url)), Shelf()
        book = StatusBook(place, SystemClock(), lambda status: None)
        runtime = Runtime(
            place,
            place,
            shelf,
            book,
            Guard(allow_private=True),
            RateBudget(),
            normalise,
            SystemClock(),
            RandomIds(),
            RuntimeOptions(**OPTIONS),
        )
        await runtime.start()
        try:
            await shelf.wait_for(3)
            place.away = True
            await asyncio.sleep(0.5)
            assert place.made.id in runtime.connector_ids  # the lease still stands
            await eventually(lambda: not runtime.connector_ids, seconds=0.7)
            place.away = False
            known = {*shelf.sequences}
            await shelf.wait_for(len(shelf.arrivals) + 1)
            assert not known & {*shelf.sequences[len(known) :]}  # what is known is not new
        finally:
            await runtime.stop()
        assert place.released == [place.made.id]


async def _is(database: Database, of: Connector, state: ConnectorState) -> bool:
    return (await status(database, of)).state is state


async def _counted(database: Database, of: Connector, count: int) -> bool:
    return (await status(database, of)).message_count == count


async def _duplicates(database: Database, of: Connector, count: int) -> bool:
    return (await status(database, of)).duplicate_count >= count


async def _more(database: Database, of: Connector, count: int) -> bool:
    return len(await stored(database, of)) >= count


async def _free(database: Database, of: Connector) -> bool:
    return await holder(database, of) is None
