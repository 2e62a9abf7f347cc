"""Making, changing, finding and deleting workspaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import InvalidInput, NoFieldsToUpdate, StaleVersion
from domain.identity.accounts import User
from domain.identity.permissions import Permission, Role
from domain.identity.places import check_currency, check_time_zone
from domain.identity.refusals import PersonalWorkspace, WorkspaceLimitReached
from domain.identity.viewer import Forbidden, Viewer
from domain.identity.viewers import NOT_A_MEMBER
from domain.identity.workspaces import Member, Workspace
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Database
from domain.texts import check_text

WORKSPACE_LIMIT = 100
"""In how many workspaces a user may be an owner."""


@dataclass(frozen=True, slots=True)
class DeletedWorkspace:
    """What was deleted."""

    workspace_id: UUID
    name: str


class WorkspacePatch(TypedDict, total=False):
    """What can be changed of a workspace."""

    name: str
    industry: str | None
    location: str | None
    time_zone: str
    currency: str
    second_factor_required: bool


async def create_workspace(
    session: AsyncSession, id: UUID, user_id: UUID, values: WorkspacePatch, now: datetime
) -> Workspace:
    """A workspace owned by the user; raises InvalidInput, WorkspaceLimitReached."""
    settled = _checked(values)
    await session.scalar(select(col(User.id)).where(col(User.id) == user_id).with_for_update())
    owned = select(func.count()).where(
        col(Member.user_id) == user_id, col(Member.role) == Role.OWNER
    )
    if (await session.scalar(owned) or 0) >= WORKSPACE_LIMIT:
        raise WorkspaceLimitReached(limit=WORKSPACE_LIMIT)
    return await _store(
        session, Workspace(id=id, created_at=now, updated_at=now, **settled), user_id
    )


async def create_personal_workspace(
    session: AsyncSession, id: UUID, user: User, now: datetime
) -> Workspace:
    """The workspace that everybody has and nobody else enters."""
    workspace = Workspace(
        id=id,
        name="Personal",
        time_zone=user.time_zone,
        personal=True,
        created_at=now,
        updated_at=now,
    )
    return await _store(session, workspace, user.id)


async def update_workspace(
    session: AsyncSession,
    workspace: Workspace,
    user_id: UUID | None,
    patch: WorkspacePatch,
    now: datetime,
) -> Workspace:
    """Change a held workspace; raises InvalidInput, NoFieldsToUpdate.

    Who asks all members for a second factor has one: else they would lock themselves out.
    """
    if not patch:
        raise NoFieldsToUpdate
    if patch.get("second_factor_required"):
        user = await session.get(User, user_id)
        if user is None or not user.second_factor:
            raise InvalidInput(
                field="secondFactorRequired", reason="needs a second factor of your own first"
            )
    for name, value in _checked(patch).items():
        setattr(workspace, name, value)
    workspace.version += 1
    workspace.updated_at = now
    await session.flush()
    return workspace


async def delete_workspace(
    session: AsyncSession, workspace: Workspace, name: str
) -> DeletedWorkspace:
    """Forget a held workspace and all that is in it, named once more; raises PersonalWorkspace, InvalidInput."""
    if workspace.personal:
        raise PersonalWorkspace
    if name.strip() != workspace.name:
        raise InvalidInput(field="name", reason="is not the workspace's name")
    deleted = DeletedWorkspace(workspace.id, workspace.name)
    await session.delete(workspace)
    await session.flush()
    return deleted


async def held(
    session: AsyncSession, workspace_id: UUID, expected_version: int | None = None
) -> Workspace:
    """A workspace, held against other changes of it and of its members; raises Forbidden, StaleVersion.

    Whatever refers to it may still be written meanwhile: the lock is one that foreign keys pass. Who may not change
    the workspace cannot hold it, even if they could when their request was admitted.
    """
    workspace = await session.scalar(
        select(Workspace)
        .where(col(Workspace.id) == workspace_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if workspace is None:
        seen = await session.scalar(
            select(col(Workspace.id)).where(col(Workspace.id) == workspace_id)
        )
        raise Forbidden(needed=Permission.MANAGE_WORKSPACE.value if seen else NOT_A_MEMBER)
    if expected_version is not None and workspace.version != expected_version:
        raise StaleVersion(expected=expected_version, actual=workspace.version)
    return workspace


async def workspaces_by_ids(
    session: AsyncSession, viewer: Viewer, ids: Sequence[UUID]
) -> dict[UUID, Workspace]:
    """Those of the workspaces that the viewer is in."""
    found = await session.exec(select(Workspace).where(col(Workspace.id).in_(ids), _mine(viewer)))
    return {workspace.id: workspace for workspace in found}


async def workspaces_of(database: Database, viewer: Viewer, window: Window) -> Page[Workspace]:
    """A page of the workspaces that a viewer is in, oldest first: an API key's own one alone."""
    statement = select(Workspace).where(_mine(viewer))
    keyset = Keyset[Workspace](UUID, col(Workspace.id), lambda item: item.id, newest_first=False)
    return await keyset.page(database, statement, window)


def _mine(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.user_id is None:
        return col(Workspace.id) == viewer.workspace_id
    joined = select(col(Member.workspace_id)).where(col(Member.user_id) == viewer.user_id)
    return col(Workspace.id).in_(joined)


async def _store(session: AsyncSession, workspace: Workspace, owner_id: UUID) -> Workspace:
    session.add(workspace)
    await session.flush()
    session.add(
        Member(
            workspace_id=workspace.id,
            user_id=owner_id,
            role=Role.OWNER,
            created_at=workspace.created_at,
        )
    )
    await session.flush()
    return workspace


def _checked(patch: WorkspacePatch) -> dict[str, Any]:
    settled: dict[str, Any] = dict(patch)
    for name in ("name", "industry", "location"):
        if settled.get(name) is not None:
            settled[name] = settled[name].strip()
            check_text(name, settled[name], 1 if name == "name" else 0, 200)
    for name in ("industry", "location"):
        if name in settled:
            settled[name] = settled[name] or None
    if "time_zone" in settled:
        check_time_zone("timeZone", settled["time_zone"])
    if "currency" in settled:
        settled["currency"] = check_currency("currency", settled["currency"].strip().upper())
    return settled
