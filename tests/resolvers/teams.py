"""People with real rights: users, workspaces that they share, and their viewers as signing in computes them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.identity import (
    Act,
    Caller,
    Credential,
    Group,
    Permission,
    Role,
    User,
    Viewer,
    Workspace,
    token_hash,
    viewer_for_key,
    viewer_for_user,
)
from resolvers import ids
from tests import factories
from tests.doors import CHEAP, Mailbox
from tests.resolvers.world import World


@dataclass
class Team:
    """A shared workspace with a member of each role; `viewers` act in it."""

    workspace: Workspace
    viewers: dict[Role, Viewer] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The workspace's global id."""
        return ids.global_id("Workspace", self.workspace.id)

    def user(self, role: Role) -> str:
        """The global id of the member who has been this from the beginning."""
        return person(self.viewers[role])


def person(viewer: Viewer) -> str:
    """The global id of a viewer's user."""
    assert viewer.user_id is not None
    return ids.global_id("User", viewer.user_id)


async def stored(world: World, thing: Any) -> Any:
    """The thing, saved as the operator would."""
    await factories.save(world.database, thing)
    return thing


async def user(world: World, **values: Any) -> User:
    """A user with the personal workspace that everybody has."""
    made = factories.user(**values)
    credential = Credential(user_id=made.id, password_hash=await CHEAP.hash("a password of theirs"))
    personal = factories.workspace(name="Personal", personal=True)
    async with world.database.write() as session:
        session.add_all([made, personal])
        await session.flush()
        session.add_all([factories.member(personal.id, made.id), credential])
    return made


async def acting(world: World, user_id: UUID, workspace_id: UUID | None = None) -> Viewer:
    """A user's viewer in a workspace, with the rights they have there now."""
    async with world.services.databases.accounts(Act(Caller(None, "sign-in"))).read() as session:
        now = world.services.clock.now()
        return await viewer_for_user(session, user_id, now=now, workspace_id=workspace_id)


async def again(world: World, viewer: Viewer) -> Viewer:
    """The same user in the same workspace, with the rights they have there now."""
    assert viewer.user_id is not None
    return await acting(world, viewer.user_id, viewer.workspace_id)


async def with_key(world: World, text: str) -> Viewer:
    """The viewer of an API key."""
    async with world.services.databases.accounts(Act(Caller(None, "key"))).read() as session:
        now = world.services.clock.now()
        viewer, _ = await viewer_for_key(session, token_hash(text), now=now)
        return viewer


async def somebody(
    world: World, workspace_id: UUID, role: Role = Role.OWNER, **values: Any
) -> Viewer:
    """A new member of a workspace, acting in it."""
    made = await user(world, **values)
    await stored(world, factories.member(workspace_id, made.id, role))
    return await acting(world, made.id, workspace_id)


async def team(world: World, **values: Any) -> Team:
    """A new shared workspace with a member of each role."""
    made = Team(await stored(world, factories.workspace(**{"name": "Team", **values})))
    for role in Role:
        made.viewers[role] = await somebody(
            world,
            made.workspace.id,
            role,
            email=f"{role.value}.{factories.new_id().hex}@example.com",
        )
    return made


async def grouped(world: World, team: Team, *roles: Role) -> Group:
    """A group of these members; their viewers know of it."""
    group: Group = await stored(world, factories.group(team.workspace.id))
    for role in roles:
        viewer = team.viewers[role]
        assert viewer.user_id is not None
        await stored(world, factories.group_member(group, viewer.user_id))
        team.viewers[role] = await again(world, viewer)
    return group


def mailbox(world: World) -> Mailbox:
    """The mails that were sent."""
    post = world.services.door.post
    assert isinstance(post, Mailbox)
    return post


async def new_key_viewer(world: World, team: Team, permissions: Collection[Permission]) -> Viewer:
    """The viewer of a new API key of the team's owner."""
    owner = team.viewers[Role.OWNER].user_id
    assert owner is not None
    text = f"penstock_test_{factories.new_id().hex}"
    key = factories.api_key(
        team.workspace.id,
        owner,
        key_hash=token_hash(text),
        permissions=[permission.value for permission in permissions],
    )
    await stored(world, key)
    return await with_key(world, text)
