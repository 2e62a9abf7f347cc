"""From a proven identity to a viewer: what somebody may do in the workspace they act in, in one statement."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlmodel
from sqlalchemy import ColumnElement, CursorResult, Row, Select, and_, func, join, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.identity.accounts import SessionRecord, User, UserStatus
from domain.identity.keys import ApiKey
from domain.identity.permissions import PERMISSIONS, Permission, Role
from domain.identity.viewer import Forbidden, Unauthenticated, Viewer
from domain.identity.workspaces import GroupMember, Member, Workspace

NOT_A_MEMBER = "membership of this workspace"


@dataclass(frozen=True, slots=True)
class Standing:
    """A user's role in a workspace, and the viewer they are when they act there."""

    role: Role
    viewer: Viewer


async def viewer_for_user(
    session: AsyncSession,
    user_id: UUID,
    *,
    now: datetime,
    session_id: UUID | None = None,
    workspace_id: UUID | None = None,
) -> Viewer:
    """An active user in a workspace of theirs (their personal one when None); a session given must be going on.

    Raises Unauthenticated; Forbidden for a workspace that they are no member of, whether or not it exists.
    """
    own = col(Workspace.personal).is_(True)
    chosen = own if workspace_id is None else col(Workspace.id) == workspace_id
    found = (await _rows(session, _of_user(user_id, session_id, chosen))).one_or_none()
    if found is None:
        raise Unauthenticated(reason="account deactivated")
    if session_id is not None and not (
        found.session_id and found.ended_at is None and found.expires_at > now
    ):
        raise Unauthenticated(reason="session ended")
    if found.role is None:
        raise Forbidden(needed=NOT_A_MEMBER)
    return _viewer(user_id, session_id, found)


async def standings(
    session: AsyncSession, viewer: Viewer, workspace_ids: Collection[UUID]
) -> dict[UUID, Standing]:
    """What a user is in those of the workspaces that they are a member of, in one statement."""
    if viewer.user_id is None:
        return {}
    chosen = col(Workspace.id).in_(workspace_ids)
    found = await _rows(session, _of_user(viewer.user_id, viewer.session_id, chosen))
    return {
        one.workspace_id: Standing(one.role, _viewer(viewer.user_id, viewer.session_id, one))
        for one in found
        if one.role is not None
    }


async def viewer_for_key(
    session: AsyncSession, key_hash: bytes, *, now: datetime, workspace_id: UUID | None = None
) -> tuple[Viewer, datetime | None]:
    """The viewer of an API key that is neither revoked nor past its end, its maker active, and when that is.

    Raises Unauthenticated; Forbidden for another workspace than the key's own.
    """
    statement = (
        sqlmodel.select(ApiKey, col(User.status))
        .join(User, col(User.id) == col(ApiKey.created_by))
        .where(col(ApiKey.key_hash) == key_hash)
    )
    found = (await session.exec(statement)).one_or_none()
    if found is None:
        raise Unauthenticated(reason="unknown key")
    key, status = found
    if key.revoked_at is not None or status is not UserStatus.ACTIVE:
        raise Unauthenticated(reason="key revoked")
    if key.expires_at is not None and key.expires_at <= now:
        raise Unauthenticated(reason="key expired")
    if workspace_id not in (None, key.workspace_id):
        raise Forbidden(needed=NOT_A_MEMBER)
    viewer = Viewer(
        workspace_id=key.workspace_id,
        api_key_id=key.id,
        permissions=frozenset(Permission(value) for value in key.permissions),
    )
    return viewer, key.expires_at


async def _rows(
    session: AsyncSession, statement: Select[tuple[Any, ...]]
) -> CursorResult[tuple[Any, ...]]:
    """Whole rows, which SQLModel's session gives for statements of its own kind alone."""
    connection = await session.connection()
    rows: CursorResult[tuple[Any, ...]] = await connection.execute(statement)
    return rows


def _viewer(user_id: UUID, session_id: UUID | None, found: Row[tuple[Any, ...]]) -> Viewer:
    withheld = found.second_factor_required and not found.second_factor
    return Viewer(
        workspace_id=found.workspace_id,
        user_id=user_id,
        session_id=session_id,
        permissions=frozenset() if withheld else PERMISSIONS[found.role],
        groups=frozenset() if withheld else frozenset(found.groups or ()),
    )


def _of_user(
    user_id: UUID, session_id: UUID | None, chosen: ColumnElement[bool]
) -> Select[tuple[Any, ...]]:
    groups = (
        select(func.array_agg(col(GroupMember.group_id)))
        .where(
            col(GroupMember.user_id) == user_id,
            col(GroupMember.workspace_id) == col(Workspace.id),
        )
        .correlate(Workspace)
        .scalar_subquery()
    )
    memberships = join(Member, Workspace, col(Workspace.id) == col(Member.workspace_id))
    return (
        select(
            col(User.second_factor),
            col(SessionRecord.id).label("session_id"),
            col(SessionRecord.ended_at),
            col(SessionRecord.expires_at),
            col(Member.role),
            col(Workspace.id).label("workspace_id"),
            col(Workspace.second_factor_required),
            groups.label("groups"),
        )
        .select_from(User)
        .outerjoin(
            SessionRecord,
            and_(col(SessionRecord.id) == session_id, col(SessionRecord.user_id) == col(User.id)),
        )
        .outerjoin(memberships, and_(col(Member.user_id) == col(User.id), chosen))
        .where(col(User.id) == user_id, col(User.status) == UserStatus.ACTIVE)
    )
