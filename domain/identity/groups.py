"""Groups of members, and what is shared with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import NoFieldsToUpdate
from domain.identity.refusals import (
    GroupLimitReached,
    GroupNameTaken,
    GroupNotFound,
    MemberNotFound,
    ResourceNotFound,
)
from domain.identity.viewer import Viewer
from domain.identity.workspaces import (
    Access,
    Group,
    GroupMember,
    Member,
    ResourceKind,
    ResourceShare,
    Workspace,
)
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Database
from domain.texts import check_text

GROUP_LIMIT = 200


@dataclass(frozen=True, slots=True)
class DeletedGroup:
    """What was deleted."""

    group_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class UnsharedResource:
    """What a group has no share of any more."""

    group_id: UUID
    kind: ResourceKind
    resource_id: UUID


class GroupPatch(TypedDict, total=False):
    """What can be changed of a group."""

    name: str
    description: str


async def create_group(
    session: AsyncSession, workspace: Workspace, id: UUID, values: GroupPatch, now: datetime
) -> Group:
    """A group of a held workspace; raises InvalidInput, GroupLimitReached, GroupNameTaken."""
    settled = _checked(values)
    existing = select(func.count()).where(col(Group.workspace_id) == workspace.id)
    if (await session.scalar(existing) or 0) >= GROUP_LIMIT:
        raise GroupLimitReached(limit=GROUP_LIMIT)
    group = Group(id=id, workspace_id=workspace.id, created_at=now, updated_at=now, **settled)
    session.add(group)
    await _flush(session, group.name)
    return group


async def update_group(
    session: AsyncSession, group: Group, patch: GroupPatch, now: datetime
) -> Group:
    """Change a group; raises InvalidInput, NoFieldsToUpdate, GroupNameTaken."""
    if not patch:
        raise NoFieldsToUpdate
    for name, value in _checked(patch).items():
        setattr(group, name, value)
    group.updated_at = now
    await _flush(session, group.name)
    return group


async def delete_group(session: AsyncSession, group: Group) -> DeletedGroup:
    """Forget a group and what was shared with it."""
    deleted = DeletedGroup(group.id, group.name)
    await session.delete(group)
    await session.flush()
    return deleted


async def add_to_group(session: AsyncSession, group: Group, user_id: UUID, now: datetime) -> Group:
    """Put a member of the held workspace into a group, also if they are in it; raises MemberNotFound."""
    if await session.get(Member, (group.workspace_id, user_id)) is None:
        raise MemberNotFound(user_id=str(user_id))
    if await session.get(GroupMember, (group.id, user_id)) is None:
        session.add(
            GroupMember(
                group_id=group.id, user_id=user_id, workspace_id=group.workspace_id, created_at=now
            )
        )
        await session.flush()
    return group


async def take_from_group(session: AsyncSession, group: Group, user_id: UUID) -> Group:
    """Take a member out of a group; raises MemberNotFound."""
    found = await session.get(GroupMember, (group.id, user_id))
    if found is None:
        raise MemberNotFound(user_id=str(user_id))
    await session.delete(found)
    await session.flush()
    return group


async def share(session: AsyncSession, given: ResourceShare) -> ResourceShare:
    """Share a resource of a held workspace with a group of it, or change how."""
    found = await _share(session, given.group_id, given.kind, given.resource_id)
    if found is None:
        session.add(given)
        found = given
    found.access = given.access
    await session.flush()
    return found


async def unshare(
    session: AsyncSession, group: Group, kind: ResourceKind, resource_id: UUID
) -> UnsharedResource:
    """Share a resource with a group no longer; raises ResourceNotFound."""
    found = await _share(session, group.id, kind, resource_id)
    if found is None:
        raise ResourceNotFound(id=str(resource_id))
    await session.delete(found)
    await session.flush()
    return UnsharedResource(group.id, kind, resource_id)


async def forget_shares(
    session: AsyncSession, workspace_id: UUID, kind: ResourceKind, resource_id: UUID
) -> None:
    """Unshare a resource that is deleted."""
    shares = await session.exec(
        select(ResourceShare).where(
            col(ResourceShare.workspace_id) == workspace_id,
            col(ResourceShare.kind) == kind,
            col(ResourceShare.resource_id) == resource_id,
        )
    )
    for one in shares:
        await session.delete(one)
    await session.flush()


async def access_to(
    session: AsyncSession, viewer: Viewer, kind: ResourceKind, resource_id: UUID
) -> Access | None:
    """What the viewer's groups may do with a resource of the workspace they act in; WRITE if any may."""
    if not viewer.groups:
        return None
    found = await session.exec(
        select(col(ResourceShare.access)).where(
            col(ResourceShare.workspace_id) == viewer.workspace_id,
            col(ResourceShare.group_id).in_(viewer.groups),
            col(ResourceShare.kind) == kind,
            col(ResourceShare.resource_id) == resource_id,
        )
    )
    allowed = set(found)
    if Access.WRITE in allowed:
        return Access.WRITE
    return Access.READ if allowed else None


async def group_by_id(session: AsyncSession, workspace_id: UUID, id: UUID) -> Group:
    """A group of a workspace; raises GroupNotFound."""
    group = await session.scalar(
        select(Group).where(col(Group.id) == id, col(Group.workspace_id) == workspace_id)
    )
    if group is None:
        raise GroupNotFound(id=str(id))
    return group


async def groups_by_ids(
    session: AsyncSession, viewer: Viewer, ids: Sequence[UUID]
) -> dict[UUID, Group]:
    """Those of the groups that are of a workspace the viewer is in."""
    joined = select(col(Member.workspace_id)).where(col(Member.user_id) == viewer.user_id)
    mine = col(Group.workspace_id) == viewer.workspace_id
    if viewer.user_id is not None:
        mine = col(Group.workspace_id).in_(joined)
    found = await session.exec(select(Group).where(col(Group.id).in_(ids), mine))
    return {group.id: group for group in found}


async def groups_of(database: Database, workspace_id: UUID, window: Window) -> Page[Group]:
    """A page of a workspace's groups, oldest first."""
    statement = select(Group).where(col(Group.workspace_id) == workspace_id)
    keyset = Keyset[Group](UUID, col(Group.id), lambda item: item.id, newest_first=False)
    return await keyset.page(database, statement, window)


async def group_members(database: Database, group: Group, window: Window) -> Page[Member]:
    """A page of a group's members, by user id: oldest account first."""
    inside = select(col(GroupMember.user_id)).where(col(GroupMember.group_id) == group.id)
    statement = select(Member).where(
        col(Member.workspace_id) == group.workspace_id, col(Member.user_id).in_(inside)
    )
    keyset = Keyset[Member](
        UUID, col(Member.user_id), lambda item: item.user_id, newest_first=False
    )
    return await keyset.page(database, statement, window)


async def shares_of(database: Database, group: Group, window: Window) -> Page[ResourceShare]:
    """A page of what is shared with a group, oldest first."""
    statement = select(ResourceShare).where(col(ResourceShare.group_id) == group.id)
    keyset = Keyset[ResourceShare](
        UUID, col(ResourceShare.id), lambda item: item.id, newest_first=False
    )
    return await keyset.page(database, statement, window)


async def _share(
    session: AsyncSession, group_id: UUID, kind: ResourceKind, resource_id: UUID
) -> ResourceShare | None:
    return await session.scalar(
        select(ResourceShare).where(
            col(ResourceShare.group_id) == group_id,
            col(ResourceShare.kind) == kind,
            col(ResourceShare.resource_id) == resource_id,
        )
    )


def _checked(patch: GroupPatch) -> GroupPatch:
    settled = GroupPatch(**patch)
    if "name" in settled:
        settled["name"] = settled["name"].strip()
        check_text("name", settled["name"], 1, 200)
    if "description" in settled:
        settled["description"] = settled["description"].strip()
        check_text("description", settled["description"], 0, 2000)
    return settled


async def _flush(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        if "groups_name_key" in str(error.orig):
            raise GroupNameTaken(name=name) from error
        raise
