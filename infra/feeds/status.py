"""How connectors are doing: kept in memory, stored at most once a second, published with every change of state."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, Protocol
from uuid import UUID

from loguru import logger

from domain.connectors import (
    ConnectorEvent,
    ConnectorState,
    ConnectorStatus,
    Secrets,
    masked,
    next_state,
)
from domain.messages import Tick
from domain.ports import Clock
from infra import redaction
from infra.feeds.arrival import Lease
from infra.feeds.sequences import Sequences

RATE_SECONDS = 10
DELAYS_KEPT = 1_000
ERROR_LIMIT = 500
CHANGES_KEPT = 1_000
FLUSH_SECONDS = 1.0
CHANGE_SECONDS = 0.05
STORE_SECONDS = 5.0
LAPSED_SECONDS = 300.0


class Rate:
    """Messages a second over the last 10 seconds, in buckets of one second."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._buckets: deque[list[int]] = deque(maxlen=RATE_SECONDS + 1)

    def add(self, count: int, now: float) -> None:
        """Count messages at `now` (monotonic seconds)."""
        second = int(now)
        if self._buckets and self._buckets[-1][0] == second:
            self._buckets[-1][1] += count
        else:
            self._buckets.append([second, count])

    def per_second(self, now: float) -> float:
        """The rate at `now`; younger than 10 seconds, over the time there was."""
        since = now - RATE_SECONDS
        total = sum(count for second, count in self._buckets if second >= since)
        return round(total / min(max(now - self._started, 1.0), RATE_SECONDS), 3)


class StatusKeeper:
    """One connector's status and memory while this process runs it. Texts of errors never show its secrets."""

    def __init__(
        self,
        lease: Lease,
        before: ConnectorStatus | None,
        clock: Clock,
        changed: Callable[["StatusKeeper"], None],
    ) -> None:
        self.lease = lease
        self._clock = clock
        self._changed = changed
        self._secrets = Secrets()
        self._known = redaction.Secrets()
        self.state = before.state if before else ConnectorState.INACTIVE
        self.since = before.since if before else clock.now()
        self.last_message_at = before.last_message_at if before else None
        self.last_error = before.last_error if before else None
        self.last_error_at = before.last_error_at if before else None
        self.messages = before.message_count if before else 0
        self.quarantined = before.quarantined_count if before else 0
        self.duplicates = before.duplicate_count if before else 0
        self.gaps = before.gap_count if before else 0
        self.shed = before.shed_count if before else 0
        self.reconnects = before.reconnect_count if before else 0
        self.pending = 0
        self.sequences = Sequences()
        self.lapsed_at: float | None = None
        self._rate = Rate(monotonic())
        self._delays: deque[float] = deque(maxlen=DELAYS_KEPT)
        self._percentiles: tuple[float | None, float | None] = (None, None)
        self._delays_changed = False

    def hide(self, secrets: Secrets) -> None:
        """Never show these secrets in an error."""
        self._secrets = secrets
        self._known = redaction.Secrets()
        self._known.add(*values_of(secrets))

    def clean(self, text: str) -> str:
        """A text that can be shown and stored: without secrets, of at most 500 characters."""
        text = redaction.redact(masked(text, self._secrets), self._known)
        text = text.replace("\0", "").encode(errors="replace").decode()
        return text if len(text) <= ERROR_LIMIT else text[: ERROR_LIMIT - 1] + "…"

    def happened(self, event: ConnectorEvent, error: str | None = None) -> None:
        """Something happened that can change the state; `error` says why."""
        if error is not None:
            self.note(error)
        state = next_state(self.state, event)
        if state is not None:
            self.enter(state)

    def enter(self, state: ConnectorState) -> None:
        """Be in a state; told at once when it is another."""
        if state is not self.state:
            self.state, self.since = state, self._clock.now()
            self._changed(self)

    def note(self, error: str) -> None:
        """Remember an error without changing the state."""
        self.last_error, self.last_error_at = self.clean(error), self._clock.now()

    def committed(self, messages: int, delays_ms: Sequence[float]) -> None:
        """Messages are stored."""
        self.messages += messages
        self.pending -= messages
        self._rate.add(messages, monotonic())
        self._delays.extend(delays_ms)
        self._delays_changed = self._delays_changed or bool(delays_ms)

    def gave_up(self, ticks: Sequence[Tick], frames: int) -> None:
        """Messages and quarantined frames were given up before they were stored."""
        self.sequences.forget(ticks)
        self.shed += len(ticks) + frames
        self.pending -= len(ticks)

    def status(self) -> ConnectorStatus:
        """The status as of now."""
        p50, p95 = self._delay_percentiles()
        return ConnectorStatus(
            connector_id=self.lease.connector_id,
            workspace_id=self.lease.workspace_id,
            state=self.state,
            since=self.since,
            last_message_at=self.last_message_at,
            last_error=self.last_error,
            last_error_at=self.last_error_at,
            message_count=self.messages,
            quarantined_count=self.quarantined,
            duplicate_count=self.duplicates,
            gap_count=self.gaps,
            shed_count=self.shed,
            reconnect_count=self.reconnects,
            message_rate=self._rate.per_second(monotonic()),
            delay_p50_ms=p50,
            delay_p95_ms=p95,
            leased_by=self.lease.holder,
            lease_epoch=self.lease.epoch,
        )

    def _delay_percentiles(self) -> tuple[float | None, float | None]:
        if self._delays_changed:
            ordered = sorted(self._delays)
            last = len(ordered) - 1
            self._percentiles = (
                round(ordered[round(0.50 * last)], 3),
                round(ordered[round(0.95 * last)], 3),
            )
            self._delays_changed = False
        return self._percentiles


def values_of(secrets: Secrets) -> list[str]:
    """Every secret value, for masking."""
    plain = (
        secrets.api_key,
        secrets.api_secret,
        secrets.passphrase,
        secrets.bearer_token,
        secrets.username,
        secrets.password,
    )
    pairs = (*secrets.headers.values(), *secrets.query_parameters.values())
    return [value for value in (*plain, *pairs) if value]


class StatusStore(Protocol):
    """Where statuses are kept."""

    async def save_statuses(self, statuses: Sequence[ConnectorStatus]) -> None:
        """Store them, each only under the lease (`leased_by`, `lease_epoch`) it was made under."""


class StatusBook:
    """The statuses of every connector this process runs: flushed together, published in order.

    What the writer tells it (see WriteObserver) arrives on the event loop.
    """

    def __init__(
        self,
        store: StatusStore,
        clock: Clock,
        publish: Callable[[ConnectorStatus], object],
    ) -> None:
        self._store = store
        self._clock = clock
        self._publish = publish
        self._keepers: dict[UUID, StatusKeeper] = {}
        self._shown: dict[UUID, tuple[Any, ...]] = {}
        self._changes: deque[ConnectorStatus] = deque(maxlen=CHANGES_KEPT)
        self._wake = asyncio.Event()
        self._flushing = asyncio.Lock()

    def statuses(self) -> list[ConnectorStatus]:
        """How the connectors are doing that this process runs by now."""
        return [keeper.status() for keeper in self._keepers.values() if keeper.lapsed_at is None]

    def open(self, lease: Lease, before: ConnectorStatus | None) -> StatusKeeper:
        """Begin to keep a connector's status, from where it was `before`."""
        keeper = StatusKeeper(lease, before, self._clock, self._changed)
        self._keepers[lease.connector_id] = keeper
        return keeper

    def get(self, lease: Lease) -> StatusKeeper | None:
        """What is remembered under this very lease: of a run before, or of a lease that was late but not lost."""
        keeper = self._keepers.get(lease.connector_id)
        if keeper is None or keeper.lease.epoch != lease.epoch:
            return None
        keeper.lapsed_at = None
        return keeper

    def lapse(self, connector_id: UUID) -> None:
        """Say no more about a connector whose lease ran out; what it remembers is kept a while, should it come back."""
        keeper = self._keepers.get(connector_id)
        if keeper is not None:
            keeper.lapsed_at = monotonic()

    def tell(self, status: ConnectorStatus) -> None:
        """Publish a status that is stored already, of a connector that nobody runs."""
        self._publish(status)

    def close(self, connector_id: UUID) -> None:
        """Forget a connector's status."""
        self._keepers.pop(connector_id, None)
        self._shown.pop(connector_id, None)

    def committed(
        self,
        connector_id: UUID,
        messages: int,
        last_received_at: datetime,
        delays_ms: Sequence[float],
    ) -> None:
        """The writer stored messages."""
        keeper = self._keepers.get(connector_id)
        if keeper is not None:
            keeper.committed(messages, delays_ms)

    def shed(self, connector_id: UUID, ticks: Sequence[Tick], frames: int) -> None:
        """The writer gave up messages: they are new if they come again."""
        keeper = self._keepers.get(connector_id)
        if keeper is not None:
            keeper.gave_up(ticks, frames)

    async def run(self) -> None:
        """Flush every second, and at once when a state changed, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._wake.wait()
                await asyncio.sleep(CHANGE_SECONDS)
            except TimeoutError:
                pass
            await self.flush()

    async def flush(self) -> None:
        """Store what changed, then publish it; a database that is away costs nothing but the storing."""
        async with self._flushing:
            await self._flush()

    async def _flush(self) -> None:
        self._wake.clear()
        changes = list(self._changes)
        self._changes.clear()
        self._close_lapsed()
        keepers = list(self._keepers.values())
        now = [keeper.status() for keeper in keepers if keeper.lapsed_at is None]
        fresh = [status for status in now if self._shown.get(status.connector_id) != _facts(status)]
        newest = {status.connector_id: status for status in (*changes, *fresh)}
        if not newest:
            return
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._store.save_statuses(list(newest.values()))
        except Exception as error:  # noqa: BLE001 - the database may be away: tried again with the next change
            logger.warning("Statuses of connectors could not be stored: {}", error)
        else:
            for status in fresh:
                self._shown[status.connector_id] = _facts(status)
        told = {status.connector_id: status for status in changes}
        for status in (*changes, *(one for one in fresh if told.get(one.connector_id) != one)):
            self._publish(status)

    def _close_lapsed(self) -> None:
        long_ago = monotonic() - LAPSED_SECONDS
        for connector_id, keeper in list(self._keepers.items()):
            if keeper.lapsed_at is not None and keeper.lapsed_at < long_ago:
                self.close(connector_id)

    def _changed(self, keeper: StatusKeeper) -> None:
        if keeper.lapsed_at is not None:
            return
        self._changes.append(keeper.status())
        self._wake.set()


def _facts(status: ConnectorStatus) -> tuple[Any, ...]:
    return tuple(status.model_dump().values())
