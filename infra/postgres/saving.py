"""The writing half of the message log: clients save messages of their own, all or nothing."""

import asyncio
import hashlib
from collections.abc import Sequence
from uuid import UUID

import orjson

from domain.errors import InvalidInput, NotFound
from domain.identity import Viewer
from domain.messages import NewMessage, SavedMessages, Tick, check_new_messages
from domain.ports import Clock
from infra.feeds.arrival import Arrival
from infra.postgres.tenancy import Tenancy
from infra.postgres.writable import writable
from infra.postgres.writer import NO_LEASE, BatchWriter, Job, KeyUsed, LeasesMoved
from infra.postgres.writer.faults import is_refused

KEY_LIMIT = 200
SAVE_SECONDS = 30.0


class MessageSaver:
    """Saves through the writer, so that what clients save is in order with what connectors bring."""

    def __init__(self, databases: Tenancy, writer: BatchWriter, clock: Clock) -> None:
        self._databases = databases
        self._writer = writer
        self._clock = clock

    async def save(
        self,
        viewer: Viewer,
        connector_id: UUID,
        exchange: str,
        messages: Sequence[NewMessage],
        idempotency_key: str,
    ) -> SavedMessages:
        """Store all or nothing and announce; the same key twice stores once.

        Raises InvalidInput, NotFound for a connector the viewer may not see, Forbidden, TimeoutError when the database
        was away too long: whether it is stored then, the same call again will tell.
        """
        _check_key(idempotency_key)
        check_new_messages(messages)
        async with self._databases.seen_by(viewer).acquire() as connection:
            await writable(connection, viewer, connector_id)
        arrival = self._arrival(viewer, connector_id, exchange, messages)
        job = Job(
            asyncio.get_running_loop().create_future(),
            idempotency_key,
            _digest(exchange, messages),
        )
        try:
            async with asyncio.timeout(SAVE_SECONDS):
                result = await self._writer.submit([arrival], job)
        except KeyUsed:
            raise InvalidInput(
                field="idempotencyKey", reason="has been used for other messages"
            ) from None
        except LeasesMoved:
            raise NotFound(field="connectorId", id=str(connector_id)) from None
        except Exception as error:
            if is_refused(error):
                raise InvalidInput(field="messages", reason=f"cannot be stored: {error}") from error
            raise
        return SavedMessages(
            connector_id=connector_id,
            batch_id=result.batch_id,
            saved_count=result.message_count,
            repeated=result.repeated,
            cursor=result.position.encode(),
        )

    def _arrival(
        self, viewer: Viewer, connector_id: UUID, exchange: str, messages: Sequence[NewMessage]
    ) -> Arrival:
        ticks = [
            Tick(
                exchange=message.exchange or exchange,
                instrument=message.instrument,
                type=message.type,
                price=message.price,
                quantity=message.quantity,
                side=message.side,
                sequence=message.sequence,
                event_time=message.event_time,
                data=message.data,
                detail=message.detail,
            )
            for message in messages
        ]
        return Arrival(
            workspace_id=viewer.workspace_id,
            connector_id=connector_id,
            epoch=NO_LEASE,
            received_at=self._clock.now(),
            ticks=ticks,
            frame_bytes=sum(len(message.data.encode()) for message in messages),
        )


def _check_key(key: str) -> None:
    if not key.strip() or len(key) > KEY_LIMIT or not key.isprintable():
        raise InvalidInput(
            field="idempotencyKey", reason=f"must be from 1 to {KEY_LIMIT} printable characters"
        )


def _digest(exchange: str, messages: Sequence[NewMessage]) -> bytes:
    """Equal exactly when the same was asked to be saved."""
    content = [exchange, *messages]
    return hashlib.sha256(orjson.dumps(content, default=str)).digest()
