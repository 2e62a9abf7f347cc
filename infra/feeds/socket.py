"""WebSocket sources: connected, subscribed and kept alive; reconnected when they end or fall silent."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import SystemRandom

import httpx
from loguru import logger
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from domain.connectors import AuthType, Connector, ConnectorEvent, Secrets, Venue
from domain.ports import Clock
from infra.feeds.backoff import Backoff, retry_after
from infra.feeds.faults import FellSilent, SourceFailed, fault_of
from infra.feeds.frames import Cut, FrameConnection
from infra.feeds.guard import Guard
from infra.feeds.keepalive import LONGEST, Keepalive, keepalive_of
from infra.feeds.receiver import Receiver
from infra.feeds.signing import login_frame, sign_handshake
from infra.feeds.status import StatusKeeper


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """Patience and bounds of WebSocket sources; all durations in seconds.

    At most `queued_frames` and what one read of the socket brought wait to be handled; then reading stops.
    """

    open_seconds: float = 10.0
    login_seconds: float = 10.0
    send_seconds: float = 10.0
    close_seconds: float = 2.0
    ping_seconds: float = 20.0
    pong_seconds: float = 60.0
    queued_frames: int = 64
    healthy_seconds: float = 10.0
    watch_seconds: float = 1.0
    burst_frames: int = 4
    pace_seconds: float = 0.25
    idle_seconds: float = 25.0
    backoff: Backoff = field(default_factory=Backoff)
    random: Callable[[], float] = field(default_factory=lambda: SystemRandom().random)


class Dialler:
    """Opens a connector's socket at a checked address and logs it in."""

    def __init__(
        self,
        connector: Connector,
        secrets: Secrets,
        guard: Guard,
        clock: Clock,
        frame_limit: int,
        options: SocketOptions,
    ) -> None:
        self._connector = connector
        self._secrets = secrets
        self._guard = guard
        self._clock = clock
        self._frame_limit = frame_limit
        self._options = options

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FrameConnection]:
        """A connection that is closed after the block; raises what `fault_of` explains."""
        connection = await self._connect()
        try:
            await self._log_in(connection)
            yield connection
        finally:
            await self._close(connection)

    async def subscribe(self, connection: ClientConnection) -> None:
        """Send the subscriptions, the first few at once and the others paced: venues count frames a second."""
        for at, frame in enumerate(self._connector.subscribe_frames):
            if at >= self._options.burst_frames:
                await asyncio.sleep(self._options.pace_seconds)
            await self.send(connection, frame)

    async def send(self, connection: ClientConnection, frame: str) -> None:
        """Send a text frame; raises TimeoutError when the source does not read."""
        async with asyncio.timeout(self._options.send_seconds):
            await connection.send(frame)

    async def _connect(self) -> FrameConnection:
        signed = sign_handshake(
            self._connector, self._secrets, httpx.URL(self._connector.url), self._clock.now()
        )
        port = signed.url.port or (443 if signed.url.scheme == "wss" else 80)
        addresses = await self._guard.addresses(signed.url.host, port)
        for address in addresses[:-1]:
            try:
                return await self._dial(signed.url, signed.headers, address, port)
            except (OSError, TimeoutError):
                continue
        return await self._dial(signed.url, signed.headers, addresses[-1], port)

    async def _dial(
        self, url: httpx.URL, headers: dict[str, str], address: str, port: int
    ) -> FrameConnection:
        options = self._options
        try:
            connection = await connect(
                str(url),
                host=address,
                port=port,
                ssl=self._guard.tls("websocket") if url.scheme == "wss" else None,
                additional_headers=headers,
                user_agent_header="Penstock",
                proxy=None,
                compression=None,
                open_timeout=options.open_seconds,
                close_timeout=options.close_seconds,
                ping_interval=options.ping_seconds,
                ping_timeout=options.pong_seconds,
                max_size=self._frame_limit,
                max_queue=options.queued_frames,
                create_connection=FrameConnection,
            )
        except InvalidStatus as refused:
            wait = retry_after(refused.response.headers.get("Retry-After"), self._clock.now())
            if wait is None:
                raise
            fault = fault_of(refused)
            raise SourceFailed(
                fault.explanation,
                lasting=fault.event is ConnectorEvent.FAILED,
                wait_seconds=wait,
            ) from refused
        if not isinstance(connection, FrameConnection):
            raise TypeError("websockets made another connection than it was asked for")
        return connection

    async def _log_in(self, connection: FrameConnection) -> None:
        frame = login_frame(self._connector, self._secrets, self._clock.now())
        if frame is None:
            return
        await self.send(connection, frame)
        if self._connector.venue is not Venue.OKX or self._connector.auth_type is not AuthType.HMAC:
            return
        async with asyncio.timeout(self._options.login_seconds):
            said = _said((await connection.messages())[0])
        if said.get("event") != "login":
            raise SourceFailed(
                f"the login was refused: {said.get('msg') or 'no reason given'}", lasting=True
            )

    async def _close(self, connection: FrameConnection) -> None:
        try:
            async with asyncio.timeout(self._options.close_seconds):
                await connection.close()
        except TimeoutError:
            pass
        finally:
            connection.transport.abort()


class SocketReader:
    """Reads one WebSocket source until cancelled."""

    def __init__(
        self,
        connector: Connector,
        secrets: Secrets,
        receiver: Receiver,
        keeper: StatusKeeper,
        guard: Guard,
        clock: Clock,
        options: SocketOptions,
    ) -> None:
        self._dialler = Dialler(connector, secrets, guard, clock, receiver.frame_limit, options)
        self._receiver = receiver
        self._keeper = keeper
        self._options = options
        self._stale_seconds = connector.stale_after_ms / 1000
        self._keepalive: Keepalive = keepalive_of(connector.venue)
        self._time = asyncio.get_running_loop().time
        self._heard_at = 0.0  # last frame that was more than a keepalive
        self._spoken_at = 0.0  # last frame of any kind
        self._waiting = False  # for the source, not for the writer
        self._brought = 0

    async def run(self) -> None:
        """Connect, read, and connect again; only cancellation ends it."""
        attempt = 0
        while True:
            opened_at, self._brought = self._time(), 0
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001 - whatever ends a session, the next one follows
                fault = fault_of(error)
            lasted = self._time() - opened_at
            healthy = self._brought > 0 and lasted >= self._options.healthy_seconds
            attempt = 0 if healthy else attempt
            self._keeper.happened(fault.event, fault.explanation)
            wait = self._options.backoff.seconds(attempt, self._options.random)
            attempt += 1
            wait = max(wait, fault.wait_seconds or 0.0)
            logger.warning(
                "{}; connecting again in {:.1f} s", self._keeper.clean(fault.explanation), wait
            )
            await asyncio.sleep(wait)
            self._keeper.reconnects += 1
            if fault.event is ConnectorEvent.FELL_SILENT:
                self._keeper.happened(ConnectorEvent.DISCONNECTED)

    async def _session(self) -> None:
        async with self._dialler.open() as connection:
            logger.info("Connected")
            self._heard_at = self._spoken_at = self._time()
            self._keeper.happened(ConnectorEvent.CONNECTED)
            chores = [
                asyncio.create_task(self._chore(work, connection))
                for work in (self._dialler.subscribe, self._watch)
            ]
            try:
                await self._read(connection)
            except Exception:
                for chore in chores:
                    if chore.done() and (failure := chore.exception()) is not None:
                        raise failure from None
                raise
            finally:
                await _end(chores)

    async def _read(self, connection: FrameConnection) -> None:
        receiver, keepalive = self._receiver, self._keepalive
        while True:
            self._waiting = True
            come = await connection.messages()
            self._waiting = False
            self._spoken_at = self._time()
            for frame in come:
                if isinstance(frame, Cut):
                    await receiver.take_too_large(frame.kept, frame.size, receiver.frame_limit)
                elif len(frame) <= LONGEST and keepalive.speaks(frame):
                    await self._answer(connection, frame)
                    continue
                else:
                    self._brought += await receiver.take(frame)
                self._heard_at = self._time()

    async def _answer(self, connection: FrameConnection, frame: bytes) -> None:
        answer = self._keepalive.answer(frame)
        if answer is not None:
            await self._dialler.send(connection, answer)

    async def _chore(
        self, work: Callable[[FrameConnection], Awaitable[None]], connection: FrameConnection
    ) -> None:
        """Work beside the reading; when it fails it takes the connection with it."""
        try:
            await work(connection)
        except Exception:
            connection.transport.abort()
            raise

    async def _watch(self, connection: FrameConnection) -> None:
        """Keep the connection alive; ends by raising FellSilent."""
        pause = min(self._options.watch_seconds, self._stale_seconds / 4)
        while True:
            await asyncio.sleep(pause)
            await self._keep_alive(connection)
            self._check_silence()

    async def _keep_alive(self, connection: FrameConnection) -> None:
        ping = self._keepalive.ping
        if ping is not None and self._time() - self._spoken_at >= self._options.idle_seconds:
            self._spoken_at = self._time()
            await self._dialler.send(connection, ping)

    def _check_silence(self) -> None:
        silent = self._time() - self._heard_at
        if self._waiting and silent >= self._stale_seconds:
            raise FellSilent(f"open, but silent for {silent:.1f} s")


async def _end(chores: Sequence[asyncio.Task[None]]) -> None:
    for chore in chores:
        chore.cancel()
    await asyncio.wait(chores)
    for chore in chores:
        if not chore.cancelled():
            chore.exception()  # looked at, so that asyncio does not report it as overlooked


def _said(frame: bytes | Cut) -> dict[str, object]:
    try:
        said = json.loads(frame) if isinstance(frame, bytes) else None
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
