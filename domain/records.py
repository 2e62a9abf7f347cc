"""The records around the stream: batches, quarantined frames, sequence gaps; saving and replaying by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain import connectors
from domain.connectors import Connector, Venue
from domain.errors import DomainError, InvalidInput
from domain.identity import Viewer
from domain.keyset import Keyset
from domain.messages import (
    SAVE_LIMIT,
    CannotNormalise,
    MessageBatchRecord,
    MessageLog,
    NewMessage,
    QuarantinedFrame,
    QuarantineState,
    SavedMessages,
    SequenceGap,
    Tick,
)
from domain.paging import Page, Window
from domain.ports import Clock, Database
from domain.texts import check_text

REPLAY_LIMIT = 1000
TEXT_LIMIT = 100
KEY_LIMIT = 200
DATA_LIMIT = 1_048_576
DIGITS_LIMIT = 100

Record = TypeVar("Record", MessageBatchRecord, QuarantinedFrame, SequenceGap)

_BATCHES = Keyset[MessageBatchRecord](int, col(MessageBatchRecord.id), lambda item: item.id)
_FRAMES = Keyset[QuarantinedFrame](UUID, col(QuarantinedFrame.id), lambda item: item.id)
_GAPS = Keyset[SequenceGap](UUID, col(SequenceGap.id), lambda item: item.id)


class Normaliser(Protocol):
    """Reads a venue's frame as ticks."""

    def __call__(
        self, venue: Venue, frame: bytes, source: str, mapping: dict[str, Any] | None
    ) -> Sequence[Tick]:
        """The frame's ticks; raises CannotNormalise. `source` is the connector's URL."""


@dataclass(eq=False)
class TooManyMessages(DomainError):
    """More than `limit` messages in one call."""

    limit: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay of quarantined frames achieved."""

    replayed_count: int
    held_count: int
    message_count: int
    frames: list[QuarantinedFrame]


async def batches(
    database: Database, viewer: Viewer, connector_id: UUID | None, window: Window
) -> Page[MessageBatchRecord]:
    """A page of batches, newest first, of one connector or of all."""
    return await _BATCHES.page(database, _owned(MessageBatchRecord, viewer, connector_id), window)


async def quarantine(
    database: Database, viewer: Viewer, connector_id: UUID | None, window: Window
) -> Page[QuarantinedFrame]:
    """A page of quarantined frames, newest first, of one connector or of all."""
    return await _FRAMES.page(database, _owned(QuarantinedFrame, viewer, connector_id), window)


async def sequence_gaps(
    database: Database, viewer: Viewer, connector_id: UUID | None, window: Window
) -> Page[SequenceGap]:
    """A page of sequence gaps, newest first, of one connector or of all."""
    return await _GAPS.page(database, _owned(SequenceGap, viewer, connector_id), window)


async def by_id(
    session: AsyncSession, viewer: Viewer, kind: type[Record], id: int | UUID
) -> Record | None:
    """The viewer's record with this id."""
    return await session.scalar(_owned(kind, viewer, None).where(col(kind.id) == id))


async def save_messages(
    log: MessageLog,
    viewer: Viewer,
    connector: Connector,
    messages: Sequence[NewMessage],
    idempotency_key: str,
) -> SavedMessages:
    """Store up to 10,000 messages, all or nothing; the same key twice stores once. Raises InvalidInput, TooManyMessages."""
    check_text("idempotencyKey", idempotency_key, 1, KEY_LIMIT)
    if not messages:
        raise InvalidInput(field="messages", reason="must not be empty")
    if len(messages) > SAVE_LIMIT:
        raise TooManyMessages(limit=SAVE_LIMIT)
    for at, message in enumerate(messages):
        _check_message(f"messages.{at}", message)
    return await log.save(viewer, connector.id, connector.venue.value, messages, idempotency_key)


async def held_frames(
    session: AsyncSession,
    viewer: Viewer,
    connector_id: UUID | None,
    ids: Sequence[UUID],
    limit: int,
) -> list[QuarantinedFrame]:
    """Up to `limit` frames still held, oldest first: those with these ids, else all of the connector."""
    statement = _owned(QuarantinedFrame, viewer, connector_id).where(
        col(QuarantinedFrame.state) == QuarantineState.HELD
    )
    if ids:
        statement = statement.where(col(QuarantinedFrame.id).in_(ids))
    ordered = statement.order_by(col(QuarantinedFrame.id)).limit(limit)
    return list(await session.scalars(ordered))


async def replay(
    database: Database,
    log: MessageLog,
    normalise: Normaliser,
    clock: Clock,
    viewer: Viewer,
    frames: Sequence[QuarantinedFrame],
) -> Replay:
    """Normalise held frames again and store what is understood now.

    Each frame is saved under a key of its own before it is marked, so a crash in between stores nothing twice.
    """
    async with database.read() as session:
        owners = await connectors.by_ids(
            session, viewer, list({frame.connector_id for frame in frames})
        )
    replayed: dict[UUID, int] = {}
    refused: dict[UUID, CannotNormalise] = {}
    for frame in frames:
        connector = owners.get(frame.connector_id)
        if connector is None:
            continue
        try:
            ticks = normalise(connector.venue, frame.frame, frame.source, connector.mapping)
        except CannotNormalise as error:
            refused[frame.id] = error
            continue
        replayed[frame.id] = await _save_ticks(log, viewer, connector, frame, ticks)
    marked = await _mark(database, clock, viewer, frames, replayed, refused)
    return Replay(
        replayed_count=len(replayed),
        held_count=len(frames) - len(replayed),
        message_count=sum(replayed.values()),
        frames=marked,
    )


async def _save_ticks(
    log: MessageLog,
    viewer: Viewer,
    connector: Connector,
    frame: QuarantinedFrame,
    ticks: Sequence[Tick],
) -> int:
    for start in range(0, len(ticks), SAVE_LIMIT):
        await log.save(
            viewer,
            connector.id,
            connector.venue.value,
            [_message_of(tick) for tick in ticks[start : start + SAVE_LIMIT]],
            f"quarantine:{frame.id}:{start}",
        )
    return len(ticks)


async def _mark(
    database: Database,
    clock: Clock,
    viewer: Viewer,
    frames: Sequence[QuarantinedFrame],
    replayed: Mapping[UUID, int],
    refused: Mapping[UUID, CannotNormalise],
) -> list[QuarantinedFrame]:
    statement = (
        _owned(QuarantinedFrame, viewer, None)
        .where(col(QuarantinedFrame.id).in_([frame.id for frame in frames]))
        .order_by(col(QuarantinedFrame.id))
        .with_for_update()
    )
    async with database.write() as session:
        marked = list(await session.scalars(statement))
        for frame in marked:
            if frame.id in replayed:
                frame.state, frame.replayed_at = QuarantineState.REPLAYED, clock.now()
            elif frame.id in refused:
                frame.reason = refused[frame.id].reason
                frame.explanation = refused[frame.id].explanation
    return marked


def _message_of(tick: Tick) -> NewMessage:
    return NewMessage(
        instrument=tick.instrument,
        type=tick.type,
        exchange=tick.exchange,
        price=tick.price,
        quantity=tick.quantity,
        side=tick.side,
        sequence=tick.sequence,
        event_time=tick.event_time,
        data=tick.data,
        detail=tick.detail,
    )


def _check_message(path: str, message: NewMessage) -> None:
    check_text(f"{path}.instrument", message.instrument, 1, TEXT_LIMIT)
    for name, text in (("exchange", message.exchange), ("sequence", message.sequence)):
        if text is not None:
            check_text(f"{path}.{name}", text, 1, TEXT_LIMIT)
    for name, number in (("price", message.price), ("quantity", message.quantity)):
        if number is not None:
            _check_number(f"{path}.{name}", number)
    if message.event_time is not None:
        _check_time(f"{path}.eventTime", message.event_time)
    if len(message.data) > DATA_LIMIT:
        raise InvalidInput(
            field=f"{path}.data", reason=f"must be at most {DATA_LIMIT} bytes of JSON"
        )


def _check_number(path: str, number: Decimal) -> None:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise InvalidInput(field=path, reason="must be a finite number")
    if number.adjusted() >= DIGITS_LIMIT or -exponent > DIGITS_LIMIT:
        raise InvalidInput(
            field=path,
            reason=f"must have at most {DIGITS_LIMIT} digits on either side of the point",
        )


def _check_time(path: str, time: datetime) -> None:
    if time.tzinfo is None:
        raise InvalidInput(field=path, reason="must have a time zone")


def _owned(kind: type[Record], viewer: Viewer, connector_id: UUID | None) -> Select[Record]:
    statement = select(kind).where(col(kind.workspace_id) == viewer.workspace_id)
    if connector_id is not None:
        statement = statement.where(col(kind.connector_id) == connector_id)
    return statement
