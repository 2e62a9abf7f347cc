"""The records around the stream: batches, quarantined frames, sequence gaps."""

from typing import TypeVar
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from domain.identity import Viewer
from domain.keyset import Keyset
from domain.messages import MessageBatchRecord, QuarantinedFrame, SequenceGap
from domain.paging import Page, Window
from domain.ports import Database

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
