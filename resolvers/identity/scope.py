"""Which workspace an operation is about: the one the viewer acts in, or another that they are in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from domain.errors import DomainError
from domain.identity import Forbidden, MemberNotFound, Permission, Viewer, WorkspaceNotFound
from domain.identity.ownership import SoleOwner
from resolvers import ids
from resolvers.context import Context

E = TypeVar("E", bound=DomainError)


async def context_of(context: Context, workspace_id: UUID) -> Context | None:
    """The context of the same caller acting in this workspace; None when they are not in it."""
    if workspace_id == context.viewer.workspace_id:
        return context
    standing = await context.standings.load(workspace_id)
    if standing is None:
        return None
    return replace(context, caller=replace(context.caller, viewer=standing.viewer))


async def chosen(context: Context, id: str | None) -> Context:
    """The context in the workspace with this global id (None: the present one); raises WorkspaceNotFound."""
    if id is None:
        return context
    key = ids.uuid_in(id, "Workspace")
    found = None if key is None else await context_of(context, key)
    if found is None:
        raise WorkspaceNotFound(id=id)
    return found


async def inside(context: Context, workspace_id: UUID, needed: Permission) -> Context:
    """The context in a workspace that the viewer sees an object of; raises Forbidden."""
    found = await context_of(context, workspace_id)
    if found is None:
        raise Forbidden(needed=needed.value)
    found.require(needed)
    return found


def user_of(viewer: Viewer) -> UUID:
    """The signed-in person; raises Forbidden for an API key, which can do nothing of the kind."""
    if viewer.user_id is None:
        raise Forbidden(needed="a signed-in user")
    return viewer.user_id


def user_key(id: str) -> UUID:
    """The key in a user's global id; raises MemberNotFound."""
    key = ids.uuid_in(id, "User")
    if key is None:
        raise MemberNotFound(user_id=id)
    return key


@contextmanager
def as_given(kind: type[E], id: str) -> Iterator[None]:
    """Have an error that names an object by its key name it by the id that the caller gave."""
    try:
        yield
    except kind as error:
        raise kind(id) from error


@contextmanager
def owned_as_given() -> Iterator[None]:
    """Have SoleOwner name its workspaces by their global ids."""
    try:
        yield
    except SoleOwner as error:
        found = (ids.global_id("Workspace", id) for id in error.workspace_ids)
        raise SoleOwner(workspace_ids=tuple(found)) from error
