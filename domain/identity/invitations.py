"""Offers of membership by mail. Callers of `invite` and `revoke_invitation` hold the workspace."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.identity.accounts import User, UserStatus
from domain.identity.mails import instruction
from domain.identity.members import acting, outranks
from domain.identity.permissions import Permission
from domain.identity.ports import Mail
from domain.identity.refusals import (
    AlreadyMember,
    InvitationInvalid,
    InvitationNotFound,
    MemberLimitReached,
    PersonalWorkspace,
)
from domain.identity.tenants import held
from domain.identity.viewer import Forbidden
from domain.identity.workspaces import Invitation, Member, Workspace
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Database

LIFETIME: Final = timedelta(days=7)
MEMBER_LIMIT = 1000
"""Members and open invitations of a workspace."""


async def invite(session: AsyncSession, workspace: Workspace, invitation: Invitation) -> Invitation:
    """Store an invitation, which takes the place of an open one to the same address.

    Raises PersonalWorkspace, Forbidden for a role above the inviter's own, AlreadyMember, MemberLimitReached.
    """
    if workspace.personal:
        raise PersonalWorkspace
    own = await acting(session, workspace.id, invitation.invited_by, Permission.MANAGE_MEMBERS)
    if outranks(invitation.role, own):
        raise Forbidden(needed=f"the role {invitation.role.name}")
    if await _is_member(session, workspace.id, invitation.email):
        raise AlreadyMember(email=invitation.email)
    now = invitation.created_at
    earlier = await session.exec(
        select(Invitation).where(
            col(Invitation.workspace_id) == workspace.id,
            func.lower(col(Invitation.email)) == invitation.email.lower(),
            _open(),
        )
    )
    for replaced in earlier:
        replaced.revoked_at = now
    await session.flush()
    await _room(session, workspace.id, now)
    session.add(invitation)
    await session.flush()
    return invitation


async def revoke_invitation(
    session: AsyncSession, workspace: Workspace, id: UUID, actor_id: UUID | None, now: datetime
) -> Invitation:
    """Take an open invitation back; raises InvitationNotFound, Forbidden for a role above one's own."""
    own = await acting(session, workspace.id, actor_id, Permission.MANAGE_MEMBERS)
    invitation = await session.scalar(
        select(Invitation).where(
            col(Invitation.id) == id, col(Invitation.workspace_id) == workspace.id, _open()
        )
    )
    if invitation is None:
        raise InvitationNotFound(id=str(id))
    if outranks(invitation.role, own):
        raise Forbidden(needed=f"the role {invitation.role.name}")
    invitation.revoked_at = now
    await session.flush()
    return invitation


async def accept_invitation(
    session: AsyncSession, token_hash: bytes, user_id: UUID, now: datetime
) -> Workspace:
    """Enter a workspace; raises InvitationInvalid, whichever of token, time and address is wrong."""
    found = await _offered(session, token_hash)
    if found is None:
        raise InvitationInvalid
    workspace = await held(session, found.workspace_id)
    invitation = await _offered(session, token_hash)
    user = await session.get(User, user_id)
    if (
        invitation is None
        or user is None
        or user.status is not UserStatus.ACTIVE
        or invitation.expires_at <= now
        or invitation.email.lower() != user.email.lower()
    ):
        raise InvitationInvalid
    invitation.accepted_at, invitation.accepted_by = now, user_id
    if await session.get(Member, (workspace.id, user_id)) is None:
        session.add(
            Member(workspace_id=workspace.id, user_id=user_id, role=invitation.role, created_at=now)
        )
    await session.flush()
    return workspace


def invitation_mail(
    invitation: Invitation, workspace: Workspace, inviter: str, token: str, app_url: str | None
) -> Mail:
    """What the invited are sent."""
    name = " ".join(workspace.name.split())
    until = f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC"
    how = instruction(app_url, "accept-invitation", token)
    return Mail(
        to=invitation.email,
        subject=f"You are invited to {name}",
        text=f"{inviter} invites you to the workspace {name}, as {invitation.role.value}.\n\n"
        f"To accept until {until}, sign in with this address (register with it first if you have no account) and "
        f"{how}\n\nIf you do not expect this, there is nothing to do.\n",
    )


async def invitation_by_id(session: AsyncSession, id: UUID) -> Invitation | None:
    """The invitation with this id."""
    return await session.get(Invitation, id)


async def open_invitations(
    database: Database, workspace_id: UUID, window: Window, now: datetime
) -> Page[Invitation]:
    """A page of a workspace's invitations that can still be accepted, oldest first."""
    statement = select(Invitation).where(
        col(Invitation.workspace_id) == workspace_id, _open(), col(Invitation.expires_at) > now
    )
    keyset = Keyset[Invitation](UUID, col(Invitation.id), lambda item: item.id, newest_first=False)
    return await keyset.page(database, statement, window)


def _open() -> ColumnElement[bool]:
    return col(Invitation.accepted_at).is_(None) & col(Invitation.revoked_at).is_(None)


async def _offered(session: AsyncSession, token_hash: bytes) -> Invitation | None:
    return await session.scalar(
        select(Invitation)
        .where(col(Invitation.token_hash) == token_hash, _open())
        .execution_options(populate_existing=True)
    )


async def _is_member(session: AsyncSession, workspace_id: UUID, email: str) -> bool:
    """Whether a member has this address; a user who is none stays unknown to the inviter."""
    found = select(col(Member.user_id)).where(
        col(Member.workspace_id) == workspace_id,
        col(Member.user_id).in_(
            select(col(User.id)).where(func.lower(col(User.email)) == email.lower())
        ),
    )
    return await session.scalar(found) is not None


async def _room(session: AsyncSession, workspace_id: UUID, now: datetime) -> None:
    members = select(func.count()).where(col(Member.workspace_id) == workspace_id)
    invited = select(func.count()).where(
        col(Invitation.workspace_id) == workspace_id, _open(), col(Invitation.expires_at) > now
    )
    taken = (await session.scalar(members) or 0) + (await session.scalar(invited) or 0)
    if taken >= MEMBER_LIMIT:
        raise MemberLimitReached(limit=MEMBER_LIMIT)
