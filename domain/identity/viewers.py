"""From a proven identity to a viewer: what somebody may do in the workspace they act in, in one statement."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, join, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.identity.accounts import SessionRecord, User, UserStatus
from domain.identity.keys import ApiKey
from domain.identity.permissions import PERMISSIONS, Permission
from domain.identity.viewer import Forbidden, Unauthenticated, Viewer
from domain.identity.workspaces import GroupMember, Member, Workspace

NOT_A_MEMBER = "membership of this workspace"


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
    found = (await session.execute(_of_user(user_id, session_id, workspace_id))).one_or_none()
    if found is None:
        raise Unauthenticated(reason="the account is not active")
    if session_id is not None and not (
        found.session_id and found.ended_at is None and found.expires_at > now
    ):
        raise Unauthenticated(reason="the session has ended")
    if found.role is None:
        raise Forbidden(needed=NOT_A_MEMBER)
    withheld = found.second_factor_required and not found.second_factor
    return Viewer(
        workspace_id=found.workspace_id,
        user_id=user_id,
        session_id=session_id,
        permissions=frozenset() if withheld else PERMISSIONS[found.role],
        groups=frozenset() if withheld else frozenset(found.groups or ()),
    )


async def viewer_for_key(session: AsyncSession, key_hash: bytes, *, now: datetime) -> Viewer:
    """The viewer of an API key that is neither revoked nor past its end; raises Unauthenticated."""
    key = await session.scalar(select(ApiKey).where(col(ApiKey.key_hash) == key_hash))
    if key is None:
        raise Unauthenticated(reason="the API key is unknown")
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise Unauthenticated(reason="the API key is no longer valid")
    return Viewer(
        workspace_id=key.workspace_id,
        api_key_id=key.id,
        permissions=frozenset(Permission(value) for value in key.permissions),
    )


def _of_user(
    user_id: UUID, session_id: UUID | None, workspace_id: UUID | None
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
    chosen = col(Workspace.personal) if workspace_id is None else col(Workspace.id) == workspace_id
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
