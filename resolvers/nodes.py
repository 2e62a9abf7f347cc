"""Refetch any node by its global id."""

from typing import Annotated
from uuid import UUID

import strawberry

from domain.errors import InvalidInput
from domain.messages import MessageBatchRecord, QuarantinedFrame, Record, SequenceGap, records
from resolvers import ids
from resolvers.context import Info


async def node(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="An object's `id`.")],
) -> object | None:
    """The object with this id; None when the viewer may see none. Raises InvalidInput for what is no id."""
    try:
        type_name, key = ids.parts(id)
    except ValueError as error:
        raise InvalidInput(field="id", reason="is not an id of this service") from error
    number, uuid = ids.number_in(key), ids.uuid_in(id, type_name)
    match type_name:
        case "Connector" if uuid is not None:
            return await info.context.connectors.load(uuid)
        case "Message" if number is not None:
            return await info.context.messages.load(number)
        case "MessageBatchRecord" if number is not None:
            return await _record(info, MessageBatchRecord, number)
        case "QuarantinedFrame" if uuid is not None:
            return await _record(info, QuarantinedFrame, uuid)
        case "SequenceGap" if uuid is not None:
            return await _record(info, SequenceGap, uuid)
    return None


async def _record(
    info: Info,
    kind: type[Record],
    key: int | UUID,
) -> Record | None:
    async with info.context.database.read() as session:
        return await records.by_id(session, info.context.viewer, kind, key)
