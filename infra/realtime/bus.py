"""Messages between processes, on broadcaster: one supervised subscription per process and channel.

Three traits of broadcaster 0.3.1 shape this module. Its listener can die without a word, so a heartbeat
travels every second and silence rebuilds the connection. Concurrent first subscriptions lose events on
some backends, so each channel is subscribed once, one after the other. Its queues have no bound, so
whatever arrives is handed on at once to receivers that are bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Protocol

import stamina
from broadcaster import Broadcast
from loguru import logger

Receive = Callable[[Any], None]
Pump = Callable[[], Coroutine[Any, Any, None]]

HEARTBEAT = "penstock.heartbeat"
HEARTBEAT_SECONDS = 1.0
SILENCE_SECONDS = 4.0
PUBLISH_SECONDS = 5.0
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 3.0
RETRY_SECONDS = 0.2


class Codec(Protocol):
    """How a channel's messages look outside this process."""

    def encode(self, message: Any) -> bytes:
        """Bytes for other processes."""

    def decode(self, payload: bytes) -> Any:
        """The message that `encode` was given."""


class Bus:
    """Publishes to channels and hands what arrives to one receiver per channel.

    In memory a message travels as the object it is; between processes as the channel's codec writes it. Only
    buses of the same scope hear each other: the numbered databases of a Redis share their channels.
    """

    def __init__(
        self,
        url: str,
        codecs: Mapping[str, Codec],
        connect_seconds: float = CONNECT_SECONDS,
        scope: str = "",
    ) -> None:
        self._scope = scope
        self._connect_seconds = connect_seconds
        self.url = url
        self._codecs = codecs
        self._in_memory = url.startswith("memory:")
        self._receivers: dict[str, Receive] = {}
        self._broadcast: Broadcast | None = None
        self._heard = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()

    def receive(self, channel: str, receiver: Receive) -> None:
        """Hand every message of `channel` to `receiver`, which must not block; call before `start`."""
        self._receivers[channel] = receiver

    async def start(self) -> None:
        """Connect and subscribe; raises TimeoutError when the bus cannot be reached."""
        self._supervisor = asyncio.create_task(self._supervise(), name="bus")
        waiting = asyncio.create_task(self._connected.wait())
        done, _ = await asyncio.wait(
            {waiting, self._supervisor},
            timeout=self._connect_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if waiting not in done:
            waiting.cancel()
            await self.stop()
            raise TimeoutError(f"no answer from the bus within {self._connect_seconds:g} s")

    async def stop(self) -> None:
        """Unsubscribe and disconnect."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor}, timeout=CONNECT_SECONDS)
            self._supervisor = None

    @property
    def connected(self) -> bool:
        """Whether the bus was heard lately."""
        return self._connected.is_set()

    async def publish(self, channel: str, message: Any) -> None:
        """Send to all processes; raises an OSError (ConnectionError, TimeoutError) when the bus is away."""
        if self._broadcast is None:
            raise ConnectionError("the bus is not connected")
        encoded = self._encoded(channel, message)
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._broadcast.publish(channel + self._scope, encoded)
        except OSError:
            raise
        except Exception as error:  # each backend has errors of its own
            raise ConnectionError(f"the bus did not take a message: {error}") from error

    def _encoded(self, channel: str, message: Any) -> Any:
        if self._in_memory:
            return message
        return self._codecs[channel].encode(message).decode("latin-1")

    def _decoded(self, channel: str, message: Any) -> Any:
        if self._in_memory:
            return message
        return self._codecs[channel].decode(message.encode("latin-1"))

    async def _supervise(self) -> None:
        while True:
            stack = AsyncExitStack()
            try:
                session = await self._connect(stack)
                self._connected.set()
                await session
            except Exception as error:  # noqa: BLE001 - whatever broke it, the bus is rebuilt
                logger.warning("Bus connection lost: {!r}", _cause(error))
            finally:
                self._connected.clear()
                self._broadcast = None
                await self._close(stack)
            await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self, stack: AsyncExitStack) -> Awaitable[None]:
        async for attempt in stamina.retry_context(
            on=Exception, attempts=None, timeout=None, wait_initial=RETRY_SECONDS, wait_max=5.0
        ):
            with attempt:
                await self._close(stack)
                async with asyncio.timeout(CONNECT_SECONDS):
                    broadcast = Broadcast(self.url)
                    stack.push_async_callback(self._disconnect, broadcast)
                    await broadcast.connect()
                    pumps = [
                        await self._pump(stack, broadcast, channel)
                        for channel in (HEARTBEAT, *self._receivers)
                    ]
        self._broadcast = broadcast
        return self._session(broadcast, pumps)

    async def _session(self, broadcast: Broadcast, pumps: list[Pump]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for pump in pumps:
                tasks.create_task(pump())
            tasks.create_task(self._watch(broadcast))

    async def _close(self, stack: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await stack.aclose()
        except Exception as error:  # noqa: BLE001 - whom one unsubscribes from may be away
            logger.debug("Bus did not close cleanly: {}", error)

    async def _disconnect(self, broadcast: Broadcast) -> None:
        try:
            async with asyncio.timeout(1.0):
                if hasattr(broadcast, "_listener_task"):
                    await broadcast.disconnect()
                else:  # connecting failed half way: the backend's own task is already running
                    await broadcast._backend.disconnect()  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - it is being thrown away
            logger.debug("Bus did not close cleanly: {}", error)

    async def _pump(self, stack: AsyncExitStack, broadcast: Broadcast, channel: str) -> Pump:
        subscriber = await stack.enter_async_context(broadcast.subscribe(channel + self._scope))

        async def pump() -> None:
            while True:
                event = await subscriber.get()
                if channel == HEARTBEAT:
                    self._heard.set()
                    continue
                try:
                    self._receivers[channel](self._decoded(channel, event.message))
                except Exception:  # noqa: BLE001 - one bad message must not silence the rest
                    logger.exception("Message on channel {} could not be handled", channel)

        return pump

    async def _watch(self, broadcast: Broadcast) -> None:
        while True:
            self._heard.clear()
            async with asyncio.timeout(PUBLISH_SECONDS):
                await broadcast.publish(HEARTBEAT + self._scope, "")
            async with asyncio.timeout(SILENCE_SECONDS):
                await self._heard.wait()
            await asyncio.sleep(HEARTBEAT_SECONDS)


def _cause(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
