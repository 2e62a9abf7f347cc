"""The bus's channels, and the ports that speak on them."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from loguru import logger

from domain.connectors import ConnectorStatus
from infra.realtime import announcement as announcements
from infra.realtime.announcement import Announcement
from infra.realtime.bus import Bus, Codec
from infra.realtime.statuses import StatusCodec

MESSAGES = "penstock.messages"
STATUSES = "penstock.statuses"
CONNECTORS = "penstock.connectors"


class _AnnouncementCodec:
    def encode(self, message: Announcement) -> bytes:
        return announcements.encode(message)

    def decode(self, payload: bytes) -> Announcement:
        return announcements.decode(payload)


class _IdCodec:
    def encode(self, message: UUID) -> bytes:
        return message.bytes

    def decode(self, payload: bytes) -> UUID:
        return UUID(bytes=payload)


CODECS: dict[str, Codec] = {
    MESSAGES: _AnnouncementCodec(),
    STATUSES: StatusCodec(),
    CONNECTORS: _IdCodec(),
}


class ConnectorBell:
    """Tells every process that a connector changed (`domain.connectors.Switchboard`)."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._listeners: list[Callable[[UUID], None]] = []

    def listen(self, listener: Callable[[UUID], None]) -> None:
        """Call `listener` with the id of every connector that changes, anywhere."""
        self._listeners.append(listener)

    def ring(self, connector_id: UUID) -> None:
        """Take a change from the bus."""
        for listener in self._listeners:
            listener(connector_id)

    async def connector_changed(self, connector_id: UUID) -> None:
        """Announce a change; a bus that is away only means that processes find out by looking."""
        try:
            await self._bus.publish(CONNECTORS, connector_id)
        except OSError as error:
            logger.warning("A connector's change could not be announced: {!r}", error)


class StatusTicker:
    """Publishes statuses in the background; of one that waits, only the newest goes out."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: dict[UUID, ConnectorStatus] = {}
        self._came = asyncio.Event()

    def publish(self, status: ConnectorStatus) -> None:
        """Take a status; never waits."""
        self._waiting[status.connector_id] = status
        self._came.set()

    async def run(self) -> None:
        """Send what comes until cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            waiting, self._waiting = self._waiting, {}
            for status in waiting.values():
                try:
                    await self._bus.publish(STATUSES, status)
                except OSError as error:
                    logger.debug("A status could not be published: {!r}", error)
