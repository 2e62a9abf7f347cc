"""The audit, for those who may read it, and for everybody what they did themselves."""

import json
from typing import Annotated

import strawberry

from domain import audit
from domain.audit import AuditEvent
from domain.errors import InvalidInput, NotFound
from domain.identity import ApiKey, Permission, User, WorkspaceNotFound
from domain.paging import Page, window
from resolvers import ids
from resolvers.context import Context, Info
from resolvers.identity.scope import chosen, context_of, user_of
from resolvers.paging import After, Before, First, Last
from schema.inputs.audit import AuditEventFilter

_SUBJECT = "is no object's id"


async def page(
    info: Info,
    workspace_id: Annotated[
        strawberry.ID | None,
        strawberry.argument(description="Whose; null: those of the workspace you act in."),
    ] = None,
    filter: Annotated[
        AuditEventFilter | None, strawberry.argument(description="Which events; null: all.")
    ] = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[AuditEvent]:
    """A page of a workspace's events, newest first; raises Forbidden, NotFound."""
    try:
        context = await chosen(info.context, workspace_id)
    except WorkspaceNotFound as error:
        raise NotFound(field="workspaceId", id=error.id) from error
    viewer = context.require(Permission.READ_AUDIT)
    asked, pages = _asked(filter), window(first, after, last, before)
    return await audit.events_of_workspace(context.database, viewer.workspace_id, asked, pages)


async def page_of_user(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[AuditEvent]:
    """A page of what the user did and what was done to their account, newest first; raises Forbidden."""
    context, asked = info.context, window(first, after, last, before)
    return await audit.events_of_user(context.database, user_of(context.viewer), asked)


async def user_of_event(root: strawberry.Parent[AuditEvent], info: Info) -> User | None:
    """Who did it, as far as the viewer may know them."""
    return None if root.user_id is None else await info.context.users.load(root.user_id)


async def api_key_of_event(root: strawberry.Parent[AuditEvent], info: Info) -> ApiKey | None:
    """The key it was done with, as far as the viewer sees it."""
    if root.api_key_id is None or root.workspace_id is None:
        return None
    context = await context_of(info.context, root.workspace_id)
    if context is None:
        return None
    async with context.database.read() as session:
        return await session.get(ApiKey, root.api_key_id)


def user_id_of(root: strawberry.Parent[AuditEvent]) -> str | None:
    """The global id of who did it."""
    return None if root.user_id is None else ids.global_id("User", root.user_id)


def api_key_id_of(root: strawberry.Parent[AuditEvent]) -> str | None:
    """The global id of the key it was done with."""
    return None if root.api_key_id is None else ids.global_id("ApiKey", root.api_key_id)


def session_id_of(root: strawberry.Parent[AuditEvent]) -> str | None:
    """The global id of the sign-in it was done in."""
    return None if root.session_id is None else ids.global_id("DeviceSession", root.session_id)


def subject_id_of(root: strawberry.Parent[AuditEvent]) -> str | None:
    """The global id of what it was done to."""
    if root.subject_type is None or root.subject_id is None:
        return None
    return str(strawberry.relay.GlobalID(root.subject_type, root.subject_id))


def actor_of(root: strawberry.Parent[AuditEvent]) -> AuditEvent:
    """The event itself, which knows its actor."""
    return root


def changes_of(root: strawberry.Parent[AuditEvent]) -> list[audit.Change]:
    """The changed fields, their values as JSON text."""
    return [
        audit.Change(change["field"], _text(change["before"]), _text(change["after"]))
        for change in root.changes
    ]


def sequence_of(root: strawberry.Parent[AuditEvent]) -> int | None:
    """The number in its workspace; None where all accounts' events are numbered together, which tells of others."""
    return None if root.chain == audit.ACCOUNTS_CHAIN else root.sequence


def hash_of(root: strawberry.Parent[AuditEvent]) -> str:
    """The seal, in hexadecimal digits."""
    return root.hash.hex()


async def visible(context: Context, id: str) -> AuditEvent | None:
    """The event with this global id, when the viewer may read it."""
    key = ids.uuid_in(id, "AuditEvent")
    if key is None:
        return None
    async with context.database.read() as session:
        event = await session.get(AuditEvent, key)
    if event is None:
        return None
    viewer = context.viewer
    if event.user_id is not None and event.user_id == viewer.user_id:
        return event
    if event.workspace_id is None:
        mine = (event.subject_type, event.subject_id) == ("User", str(viewer.user_id))
        return event if mine else None
    there = await context_of(context, event.workspace_id)
    may = there is not None and there.viewer.may(Permission.READ_AUDIT)
    return event if may else None


def _text(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _asked(filter: AuditEventFilter | None) -> audit.AuditFilter:
    if filter is None:
        return audit.AuditFilter()
    users, keys = set(), set()
    for at, id in enumerate(filter.actor_ids or ()):
        if (user := ids.uuid_in(id, "User")) is not None:
            users.add(user)
        elif (key := ids.uuid_in(id, "ApiKey")) is not None:
            keys.add(key)
        else:
            raise InvalidInput(field=f"filter.actorIds.{at}", reason="is of no user or API key")
    subject_type, subject_id = filter.subject_type, None
    if filter.subject_id is not None:
        try:
            named, subject_id = ids.parts(filter.subject_id)
        except ValueError as error:
            raise InvalidInput(field="filter.subjectId", reason=_SUBJECT) from error
        if subject_type not in (None, named):
            raise InvalidInput(field="filter.subjectType", reason="is not the type of subjectId")
        subject_type = named
    for name in ("actions", "subject_type"):
        given = getattr(filter, name) or ()
        if any("\0" in text for text in ([given] if isinstance(given, str) else given)):
            raise InvalidInput(field=f"filter.{name}", reason="must not contain NUL")
    return audit.AuditFilter(
        actions=frozenset(filter.actions or ()),
        user_ids=frozenset(users),
        api_key_ids=frozenset(keys),
        subject_type=subject_type,
        subject_id=subject_id,
        outcomes=frozenset(filter.outcomes or ()),
        since=filter.since,
        until=filter.until,
    )
