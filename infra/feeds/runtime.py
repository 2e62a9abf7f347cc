"""The connectors that one ingest process runs: leased, supervised, each failing by itself alone."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from loguru import logger

from domain.connectors import (
    Connector,
    ConnectorEvent,
    ConnectorProtocol,
    ConnectorState,
    Secrets,
)
from domain.errors import InvalidInput
from domain.ports import Clock, Ids
from infra import logs
from infra.feeds.arrival import Intake, Lease
from infra.feeds.backoff import Backoff
from infra.feeds.budget import RateBudget
from infra.feeds.faults import fault_of
from infra.feeds.guard import Guard
from infra.feeds.plan import LeaseSource, RuntimeOptions, Store
from infra.feeds.receiver import Normalise, Receiver
from infra.feeds.rest import Fetcher, Poller
from infra.feeds.socket import SocketReader
from infra.feeds.status import StatusBook, StatusKeeper, values_of
from infra.feeds.store import Loaded

EXPIRY_SHARE = 0.9
_SUPERVISION = Backoff(base_seconds=0.2, cap_seconds=2.0)
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(slots=True)
class _Running:
    lease: Lease
    held_at: float
    version: int
    secrets: str
    noted: str = ""
    task: asyncio.Task[None] | None = None
    keeper: StatusKeeper | None = None


class Runtime:
    """Claims, runs and gives back connectors. `start` it once; `stop` it before the writer is closed."""

    def __init__(
        self,
        leases: LeaseSource,
        store: Store,
        intake: Intake,
        book: StatusBook,
        guard: Guard,
        budget: RateBudget,
        normalise: Normalise,
        clock: Clock,
        ids: Ids,
        options: RuntimeOptions,
    ) -> None:
        self._leases = leases
        self._store = store
        self._intake = intake
        self._book = book
        self._guard = guard
        self._budget = budget
        self._normalise = normalise
        self._clock = clock
        self._ids = ids
        self._options = options
        self._running: dict[UUID, _Running] = {}
        self._ending: dict[UUID, asyncio.Task[None]] = {}
        self._renewed_at = 0.0
        self._loading = asyncio.Semaphore(options.loads_at_once)
        self._wake = asyncio.Event()
        self._looker: asyncio.Task[None] | None = None
        self._helpers: list[asyncio.Task[None]] = []

    @property
    def connector_ids(self) -> frozenset[UUID]:
        """The connectors run here now."""
        return frozenset(self._running)

    async def start(self) -> None:
        """Begin to claim and run connectors."""
        self._looker = asyncio.create_task(self._forever(self._look), name="connectors")
        self._helpers = [
            asyncio.create_task(self._forever(self._renew), name="leases"),
            asyncio.create_task(self._forever(self._expire), name="expiry of leases"),
            asyncio.create_task(self._forever(self._book.run), name="statuses"),
        ]

    def wake(self) -> None:
        """Look now: a connector was started, stopped, changed or deleted."""
        self._wake.set()

    async def stop(self, drain: Callable[[], Awaitable[object]] | None = None) -> None:
        """Stop every connector, let `drain` store what they brought, and give them back; well within 10 s."""
        if self._looker is not None:
            await _end([self._looker], self._options.stop_seconds)
        await _end([*self._ending.values()], self._options.stop_seconds)
        tasks = [one.task for one in self._running.values() if one.task is not None]
        await _end(tasks, self._options.stop_seconds)
        if drain is not None:
            try:
                async with asyncio.timeout(self._options.drain_seconds):
                    await drain()
            except Exception as error:  # noqa: BLE001 - leases are given back whatever the writer meets
                logger.warning("What connectors brought could not all be stored: {!r}", error)
        for running in self._running.values():
            if running.keeper is not None:
                running.keeper.enter(ConnectorState.INACTIVE)
        await _end(self._helpers, self._options.stop_seconds)
        await self._give_back(list(self._running))
        self._running.clear()

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        attempt = 0
        while True:
            try:
                await work()
                attempt = 0
            except Exception as error:  # noqa: BLE001 - the supervisor outlives what it supervises
                if attempt == 0:
                    trace = None if isinstance(error, _AWAY) else error
                    logger.opt(exception=trace).warning(
                        "Supervising connectors failed: {!r}", error
                    )
                await asyncio.sleep(_SUPERVISION.seconds(attempt, self._options.random))
                attempt += 1

    async def _look(self) -> None:
        """One look at what is to run here, then a pause."""
        self._wake.clear()
        asked_at = self._now()
        async with asyncio.timeout(self._options.lease_seconds):
            leases = {lease.connector_id: lease for lease in await self._leases.claim()}
            for status in await self._store.settle():
                self._book.tell(status)
        for connector_id, running in list(self._running.items()):
            lease = leases.get(connector_id)
            if connector_id in self._ending:
                continue
            if lease is None:
                self._begin_end(connector_id, self._let_go(running))
            elif lease.epoch != running.lease.epoch:
                self._drop(running)
            elif (lease.version, lease.secrets) != (running.version, running.secrets):
                self._begin_end(connector_id, self._restart(running))
        for connector_id, lease in leases.items():
            if connector_id not in self._running and connector_id not in self._ending:
                self._begin(lease, asked_at)
        try:
            async with asyncio.timeout(self._options.look_seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _renew(self) -> None:
        """One renewal after a pause; connectors whose lease is gone are dropped."""
        seconds = self._options.lease_seconds
        await asyncio.sleep(seconds / 6)
        asked_at = self._now()
        async with asyncio.timeout(seconds / 3):
            held = await self._leases.renew()
        self._renewed_at = asked_at
        for running in list(self._running.values()):
            if running.held_at < asked_at and running.lease.connector_id not in held:
                self._drop(running)

    async def _expire(self) -> None:
        """Drop connectors whose lease cannot be known to stand: somebody else may run them soon."""
        seconds = self._options.lease_seconds
        await asyncio.sleep(seconds / 20)
        oldest = self._now() - seconds * EXPIRY_SHARE
        for running in list(self._running.values()):
            if max(self._renewed_at, running.held_at) < oldest:
                self._drop(running)

    def _drop(self, running: _Running) -> None:
        connector_id = running.lease.connector_id
        self._book.lapse(connector_id)
        if connector_id not in self._ending:
            logger.warning("The lease of connector {} ran out", connector_id)
            self._begin_end(connector_id, self._forsake(running))

    def _begin(self, lease: Lease, held_at: float) -> None:
        running = _Running(lease, held_at, lease.version, lease.secrets)
        self._running[lease.connector_id] = running
        running.task = asyncio.create_task(
            self._supervise(running), name=f"connector {lease.connector_id}"
        )

    def _begin_end(self, connector_id: UUID, ending: Awaitable[None]) -> None:
        async def end() -> None:
            try:
                await ending
            except Exception as error:  # noqa: BLE001 - looked at again with the next look
                logger.warning("Connector {} could not be let go: {!r}", connector_id, error)
            finally:
                self._ending.pop(connector_id, None)
                self._wake.set()

        self._ending[connector_id] = asyncio.create_task(end(), name=f"ending {connector_id}")

    async def _restart(self, running: _Running) -> None:
        """The configuration changed: run it anew, with what is remembered."""
        await self._end_reading(running)
        self._running.pop(running.lease.connector_id, None)

    async def _let_go(self, running: _Running) -> None:
        """It is not to run here any more: stopped, deleted, or leased by another."""
        connector_id, keeper = running.lease.connector_id, running.keeper
        await self._end_reading(running)
        try:
            if await self._store.enabled(connector_id) is not False:
                self._book.lapse(connector_id)
            elif keeper is not None:
                await self._settle(keeper)
                keeper.happened(ConnectorEvent.STOPPED)
            await self._give_back([connector_id])
        finally:
            self._book.close(connector_id)
            self._running.pop(connector_id, None)

    async def _forsake(self, running: _Running) -> None:
        await self._end_reading(running)
        self._running.pop(running.lease.connector_id, None)

    async def _end_reading(self, running: _Running) -> None:
        if running.task is not None:
            await _end([running.task], self._options.stop_seconds)

    async def _settle(self, keeper: StatusKeeper) -> None:
        """Wait until the writer is done with what a connector brought, so that its counts are whole."""
        deadline = self._now() + self._options.settle_seconds
        while keeper.pending > 0 and self._now() < deadline:  # noqa: ASYNC110 - a sum, not an event
            await asyncio.sleep(0.02)

    async def _give_back(self, connector_ids: list[UUID]) -> None:
        await self._book.flush()
        for connector_id in connector_ids:
            self._book.close(connector_id)
        try:
            async with asyncio.timeout(self._options.stop_seconds):
                await self._leases.release(connector_ids)
        except Exception as error:  # noqa: BLE001 - they run out by themselves
            logger.warning("Leases of connectors could not be given back: {!r}", error)

    async def _supervise(self, running: _Running) -> None:
        with logger.contextualize(connector_id=str(running.lease.connector_id)):
            attempt = 0
            while True:
                began = self._now()
                try:
                    if not await self._run(running):
                        return
                except Exception as error:  # noqa: BLE001 - one failing connector never disturbs another
                    self._crashed(running, error)
                backoff = self._options.backoff if running.keeper else _SUPERVISION
                if self._now() - began > backoff.cap_seconds:
                    attempt = 0
                await asyncio.sleep(backoff.seconds(attempt, self._options.random))
                attempt += 1

    def _crashed(self, running: _Running, error: Exception) -> None:
        if running.keeper is None:
            logger.warning("A connector could not be loaded: {!r}", error)
            return
        explanation = running.keeper.clean(fault_of(error).explanation)
        running.keeper.happened(ConnectorEvent.FAILED, explanation)
        logger.opt(exception=error).error("The connector failed: {}", explanation)

    async def _run(self, running: _Running) -> bool:
        """Load the connector and read its source; False when it is gone."""
        # In turn: hundreds taken over at once would wait for the pool until none of them is in time.
        async with self._loading, asyncio.timeout(self._options.load_seconds):
            loaded = await self._store.load(running.lease.connector_id)
            if loaded is None:
                return False
            connector = loaded.connector
            if running.keeper is None:
                running.keeper = await self._open(running.lease, loaded)
        running.version, running.secrets = connector.version, loaded.secrets
        keeper = running.keeper
        keeper.happened(ConnectorEvent.STARTED)
        secrets = self._secrets(loaded, keeper)
        if secrets is None:
            return True
        if running.noted != running.secrets:
            await self._store.note_use(loaded)
            running.noted = running.secrets
        await self._reader(connector, secrets, running.lease, keeper).run()
        return True

    def _secrets(self, loaded: Loaded, keeper: StatusKeeper) -> Secrets | None:
        """The connector's secrets, hidden from now on; None when they cannot be used, which its status then says."""
        try:
            secrets = self._store.open_secrets(loaded)
        except InvalidInput as error:
            explanation = f"{error.field} {error.reason}"
        except ValueError:
            explanation = "no key of the ring opens this connector's secrets"
        else:
            logs.mask(*values_of(secrets))
            keeper.hide(secrets)
            return secrets
        keeper.happened(ConnectorEvent.FAILED, explanation)
        logger.error("{}", explanation)
        return None

    async def _open(self, lease: Lease, loaded: Loaded) -> StatusKeeper:
        known = self._book.get(lease)
        if known is not None:
            return known
        keys = await self._store.recent_keys(lease.connector_id, self._options.preloaded_keys)
        keeper = self._book.open(lease, loaded.status)
        keeper.sequences.preload(keys)
        return keeper

    def _reader(
        self, connector: Connector, secrets: Secrets, lease: Lease, keeper: StatusKeeper
    ) -> SocketReader | Poller:
        options = self._options
        receiver = Receiver(
            connector,
            secrets,
            lease,
            keeper,
            self._intake,
            self._normalise,
            self._clock,
            self._ids,
            options.frame_limit,
        )
        if connector.protocol is ConnectorProtocol.WEBSOCKET:
            return SocketReader(
                connector, secrets, receiver, keeper, self._guard, self._clock, options.socket
            )
        fetcher = Fetcher(connector, secrets, self._guard, self._budget, self._clock, options.poll)
        return Poller(connector, fetcher, receiver, keeper, options.poll)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _end(tasks: Collection[asyncio.Task[None]], seconds: float) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
