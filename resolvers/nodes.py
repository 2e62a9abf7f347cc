"""Refetch any node by its global id."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final
from uuid import UUID

import strawberry

from domain.errors import InvalidInput
from domain.identity import Permission
from domain.messages import MessageBatchRecord, QuarantinedFrame, Record, SequenceGap, records
from resolvers import audit, auditing, ids, secrets
from resolvers.context import Context, Info
from resolvers.identity import accounts, groups, keys, workspaces


async def node(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="An object's `id`.")],
) -> object | None:
    """The object with this id; None when the viewer may see none. Raises InvalidInput for what is no id."""
    context = info.context
    try:
        type_name, key = ids.parts(id)
    except ValueError as error:
        raise InvalidInput(field="id", reason="is not an id of this service") from error
    number, uuid = ids.number_in(key), ids.uuid_in(id, type_name)
    if type_name in _BY_NUMBER:
        context.require(Permission.READ_DATA)
        return None if number is None else await _BY_NUMBER[type_name](context, number)
    if type_name in _BY_UUID:
        context.require(Permission.READ_DATA)
        return None if uuid is None else await _BY_UUID[type_name](context, uuid)
    if type_name in _BY_RIGHT:
        return None if context.viewer.delegate else await _by_right(context, type_name, id)
    return None


async def _by_right(context: Context, type_name: str, id: str) -> object | None:
    """A look at others' data is one for the audit whichever way it is taken: by a list, or by one object's id."""
    found = await _BY_RIGHT[type_name](context, id)
    field, me = _WATCHED.get(type_name), context.viewer.user_id
    whose = getattr(found, "id" if type_name == "User" else "user_id", None)
    if found is not None and field is not None and (me is None or whose != me):
        await auditing.viewed(context, field, found)
    return found


async def _connector(context: Context, key: UUID) -> object | None:
    return await context.connectors.load(key)


async def _message(context: Context, key: int) -> object | None:
    return await context.messages.load(key)


async def _batch(context: Context, key: int) -> object | None:
    return await _record(context, MessageBatchRecord, key)


async def _frame(context: Context, key: UUID) -> object | None:
    return await _record(context, QuarantinedFrame, key)


async def _gap(context: Context, key: UUID) -> object | None:
    return await _record(context, SequenceGap, key)


async def _record(context: Context, kind: type[Record], key: int | UUID) -> Record | None:
    async with context.database.read() as session:
        return await records.by_id(session, context.viewer, kind, key)


async def _user(context: Context, id: str) -> object | None:
    key = ids.uuid_in(id, "User")
    return None if key is None else await context.users.load(key)


async def _workspace(context: Context, id: str) -> object | None:
    key = ids.uuid_in(id, "Workspace")
    return None if key is None else await context.workspaces.load(key)


_BY_NUMBER: Final[Mapping[str, Callable[[Context, int], Awaitable[object | None]]]] = {
    "Message": _message,
    "MessageBatchRecord": _batch,
}
_BY_UUID: Final[Mapping[str, Callable[[Context, UUID], Awaitable[object | None]]]] = {
    "Connector": _connector,
    "QuarantinedFrame": _frame,
    "SequenceGap": _gap,
}
"""Data of the workspace one acts in: all need READ_DATA."""

_BY_RIGHT: Final[Mapping[str, Callable[[Context, str], Awaitable[object | None]]]] = {
    "User": _user,
    "Workspace": _workspace,
    "Group": groups.visible,
    "ApiKey": keys.visible,
    "DeviceSession": accounts.visible_session,
    "AuditEvent": audit.visible,
    "Secret": secrets.visible,
    "Invitation": workspaces.visible_invitation,
}
"""Each of these decides itself who may see it, and gives None to others."""

_WATCHED: Final[Mapping[str, str]] = {
    "User": "members",
    "ApiKey": "apiKeys",
    "AuditEvent": "auditEvents",
    "Secret": "secrets",
    "Invitation": "invitations",
}
"""What is others' data, and the field that shows many of it, by which the audit knows a look."""
