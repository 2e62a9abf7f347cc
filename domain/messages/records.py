"""The records around the stream: batches, quarantined frames, sequence gaps."""

from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, LargeBinary
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from domain.columns import text_enum
from domain.identity import Viewer
from domain.keyset import Keyset
from domain.messages.quarantine import QuarantinedFrame
from domain.messages.ticks import MessageType
from domain.paging import Page, Window
from domain.ports import Database


class MessageBatchRecord(SQLModel, table=True):
    """One committed COPY, as far as one connector had a part in it; `id` is its first message's."""

    __tablename__ = "message_batches"

    id: int = Field(primary_key=True, sa_type=BigInteger)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE")
    connector_id: UUID
    last_id: int = Field(sa_type=BigInteger)
    message_count: int
    byte_count: int = Field(sa_type=BigInteger)
    first_received_at: datetime = Field(sa_type=DateTime(timezone=True))
    last_received_at: datetime = Field(sa_type=DateTime(timezone=True))
    duration_ms: float
    idempotency_key: str | None = Field(default=None, max_length=200)
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)  # SHA-256 of what the key saved


class SequenceGap(SQLModel, table=True):
    """Venue sequence numbers that never arrived: those after `after_sequence`, before `before_sequence`."""

    __tablename__ = "sequence_gaps"

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE")
    connector_id: UUID
    instrument: str
    type: MessageType = Field(sa_type=text_enum(MessageType))
    after_sequence: int = Field(sa_type=BigInteger)
    before_sequence: int = Field(sa_type=BigInteger)
    missed: int = Field(sa_type=BigInteger)
    noticed_at: datetime = Field(sa_type=DateTime(timezone=True))


Record = TypeVar("Record", MessageBatchRecord, QuarantinedFrame, SequenceGap)

_BATCHES = Keyset[MessageBatchRecord](int, col(MessageBatchRecord.id), lambda item: item.id)
_FRAMES = Keyset[QuarantinedFrame](UUID, col(QuarantinedFrame.id), lambda item: item.id)
_GAPS = Keyset[SequenceGap](UUID, col(SequenceGap.id), lambda item: item.id)


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


def _owned(kind: type[Record], viewer: Viewer, connector_id: UUID | None) -> SelectOfScalar[Record]:
    statement = select(kind).where(col(kind.workspace_id) == viewer.workspace_id)
    if connector_id is not None:
        statement = statement.where(col(kind.connector_id) == connector_id)
    return statement
