from typing import Any

from domain.identity import Access, Role, Viewer, tenants
from resolvers import ids
from tests import factories
from tests.factories import HOME_WORKSPACE_ID
from tests.resolvers.teams import Team, acting, again, person, somebody, stored, team, user
from tests.resolvers.world import VIEWER, World, created

FACTS = """... on Workspace { id name industry location timeZone currency personal secondFactorRequired version role }
... on InvalidInput { field reason }"""


async def new_team(world: World, viewer: Viewer = VIEWER, **values: Any) -> dict[str, Any]:
    return await world.do("createWorkspace", FACTS, viewer, **{"name": "Desk", **values})


async def test_who_creates_a_workspace_owns_it(world: World):
    made = await new_team(
        world, industry="Trading", location=" Lisbon ", timeZone="Europe/Lisbon", currency="eur"
    )
    assert (
        made.items()
        >= {
            "name": "Desk",
            "industry": "Trading",
            "location": "Lisbon",
            "timeZone": "Europe/Lisbon",
            "currency": "EUR",
            "personal": False,
            "secondFactorRequired": False,
            "version": 1,
            "role": "OWNER",
        }.items()
    )
    data = await world.ask(
        "query($id: ID!) { workspace(id: $id) { name members { edges { node { userId role user { email } } } } } }",
        id=made["id"],
    )
    assert data["workspace"]["members"]["edges"] == [
        {
            "node": {
                "userId": person(VIEWER),
                "role": "OWNER",
                "user": {"email": "owner@example.com"},
            }
        }
    ]


async def test_a_workspace_that_cannot_be_is_refused_by_field(world: World):
    for values, field in [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"industry": "x" * 201}, "industry"),
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"timeZone": "../etc/passwd"}, "timeZone"),
        ({"currency": "XXXX"}, "currency"),
        ({"currency": "ABC"}, "currency"),
    ]:
        refused = await new_team(world, **values)
        assert (refused["__typename"], refused["field"]) == ("InvalidInput", field), values


async def test_there_is_a_limit_to_owning(world: World, monkeypatch):
    monkeypatch.setattr(tenants, "WORKSPACE_LIMIT", 2)
    await new_team(world)
    refused = await world.do("createWorkspace", "... on WorkspaceLimitReached { limit }", name="x")
    assert (refused["__typename"], refused["limit"]) == ("WorkspaceLimitReached", 2)


async def test_the_present_workspace_is_the_default_and_strangers_see_none(world: World):
    data = await world.ask("{ workspace { id personal role } }")
    home = ids.global_id("Workspace", HOME_WORKSPACE_ID)
    assert data["workspace"] == {"id": home, "personal": True, "role": "OWNER"}
    stranger = await acting(world, (await user(world)).id)
    document = "query($id: ID!) { workspace(id: $id) { id } node(id: $id) { id } }"
    assert await world.ask(document, stranger, id=home) == {"workspace": None, "node": None}
    assert (await world.ask(document, id=home))["node"] == {"id": home}


async def change(world: World, viewer: Viewer, **values: Any) -> dict[str, Any]:
    return await world.do(
        "updateWorkspace", FACTS + "... on StaleVersion { actual }", viewer, **values
    )


async def test_admins_change_a_workspaces_facts(world: World):
    desk = await team(world)
    admin = desk.viewers[Role.ADMIN]
    changed = await change(world, admin, name="Floor", industry="FX", expectedVersion=1)
    assert (changed["name"], changed["industry"], changed["version"]) == ("Floor", "FX", 2)
    stale = await change(world, admin, name="Other", expectedVersion=1)
    assert (stale["__typename"], stale["actual"]) == ("StaleVersion", 2)
    cleared = await change(world, admin, industry=None, id=desk.id)
    assert (cleared["industry"], cleared["name"]) == (None, "Floor")
    assert (await change(world, admin))["__typename"] == "NoFieldsToUpdate"
    assert (await change(world, admin, currency="nope"))["field"] == "currency"
    for role in (Role.ANALYST, Role.VIEWER):
        needed = await world.forbidden("updateWorkspace", desk.viewers[role], name="Mine")
        assert needed == "manage_workspace"


async def test_only_an_owner_with_a_second_factor_asks_all_for_one(world: World):
    desk = await team(world)
    asked = {"secondFactorRequired": True}
    admin, owner = desk.viewers[Role.ADMIN], desk.viewers[Role.OWNER]
    assert await world.forbidden("updateWorkspace", admin, **asked) == "own_workspace"
    refused = await change(world, owner, **asked)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "secondFactorRequired")
    await world.database.pool.execute(
        "update users set second_factor = true where id = $1", owner.user_id
    )
    assert (await change(world, owner, **asked))["secondFactorRequired"] is True
    admin = await again(world, admin)
    assert admin.permissions == frozenset()
    extensions = await world.refused("{ connectors { totalCount } }", admin)
    assert extensions["code"] == "FORBIDDEN"
    shown = await world.ask("{ workspace { name role secondFactorRequired } }", admin)
    assert shown["workspace"] == {"name": "Team", "role": "ADMIN", "secondFactorRequired": True}
    assert (await again(world, owner)).permissions


async def test_another_workspace_of_ones_own_is_reached_by_its_id(world: World):
    desk = await team(world)
    owner = desk.viewers[Role.OWNER]
    at_home = await acting(world, owner.user_id)
    changed = await change(world, at_home, id=desk.id, name="From home")
    assert changed["name"] == "From home"
    viewer_at_home = await acting(world, desk.viewers[Role.VIEWER].user_id)
    needed = await world.forbidden("updateWorkspace", viewer_at_home, id=desk.id, name="x")
    assert needed == "manage_workspace"
    stranger = await acting(world, (await user(world)).id)
    for id in (desk.id, "nonsense"):
        refused = await change(world, stranger, id=id, name="x")
        assert refused["__typename"] == "WorkspaceNotFound"


async def delete(world: World, viewer: Viewer, desk: Team, name: str = "Team") -> dict[str, Any]:
    return await world.do(
        "deleteWorkspace",
        "... on DeletedWorkspace { id name } ... on WorkspaceInUse { connectors } ... on InvalidInput { field }",
        viewer,
        id=desk.id,
        name=name,
    )


async def test_a_workspace_is_deleted_by_its_owner_by_name_once_nothing_runs(world: World):
    desk = await team(world)
    owner = desk.viewers[Role.OWNER]
    group = await stored(world, factories.group(desk.workspace.id))
    running = await stored(world, factories.connector(workspace_id=desk.workspace.id, enabled=True))
    await stored(world, factories.share(group, running.id, Access.READ))
    admin = desk.viewers[Role.ADMIN]
    assert (
        await world.forbidden("deleteWorkspace", admin, id=desk.id, name="Team") == "own_workspace"
    )
    refused = await delete(world, owner, desk)
    assert (refused["__typename"], refused["connectors"]) == ("WorkspaceInUse", 1)
    await world.database.pool.execute("update connectors set enabled = false")
    refused = await delete(world, owner, desk, name="team")
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "name")
    deleted = await delete(world, owner, desk)
    assert (deleted["id"], deleted["name"]) == (desk.id, "Team")
    left = await world.database.pool.fetchval(
        "select (select count(*) from workspaces where id = $1)"
        " + (select count(*) from connectors where workspace_id = $1)"
        " + (select count(*) from members where workspace_id = $1)"
        " + (select count(*) from groups where workspace_id = $1)",
        desk.workspace.id,
    )
    assert left == 0
    at_home = await acting(world, owner.user_id)
    assert (await delete(world, at_home, desk))["__typename"] == "WorkspaceNotFound"


async def test_a_personal_workspace_stays_its_users_alone(world: World):
    home = ids.global_id("Workspace", HOME_WORKSPACE_ID)
    someone = await acting(world, (await user(world)).id)
    for mutation, input in [
        ("deleteWorkspace", {"id": home, "name": "Home"}),
        ("leaveWorkspace", {"id": home}),
        ("inviteMember", {"email": "friend@example.com"}),
        ("transferOwnership", {"userId": person(someone)}),
        ("removeMember", {"userId": person(VIEWER)}),
        ("changeMemberRole", {"userId": person(VIEWER), "role": "VIEWER"}),
    ]:
        refused = await world.do(mutation, "", **input)
        assert refused["__typename"] == "PersonalWorkspace", mutation


async def test_a_list_of_workspaces_shows_ones_own_with_their_roles(world: World):
    desk = await team(world)
    other = await team(world, name="Other")
    me = desk.viewers[Role.ANALYST]
    await stored(world, factories.member(other.workspace.id, me.user_id, Role.ADMIN))
    document = "{ viewer { workspaces { totalCount edges { node { name role } } } } }"
    shown = (await world.ask(document, me))["viewer"]["workspaces"]
    assert {tuple(edge["node"].values()) for edge in shown["edges"]} == {
        ("Personal", "OWNER"),
        ("Team", "ANALYST"),
        ("Other", "ADMIN"),
    }
    assert shown["totalCount"] == 3


async def test_a_page_of_members_is_as_many_statements_as_one_member(world: World):
    desk = await team(world)
    document = "{ workspace { members { edges { node { role user { name email } } } } } }"
    viewer = desk.viewers[Role.VIEWER]
    await world.ask(document, viewer)
    world.database.statements.clear()
    await world.ask(document, viewer)
    before = len(world.database.statements)
    for _ in range(5):
        await somebody(world, desk.workspace.id, Role.VIEWER)
    world.database.statements.clear()
    shown = await world.ask(document, viewer)
    assert len(shown["workspace"]["members"]["edges"]) == 9
    assert len(world.database.statements) == before


async def test_what_one_may_not_see_of_a_workspace_is_null_beside_the_rest(world: World):
    desk = await team(world)
    data, errors = await world.answer(
        "{ workspace { name invitations { totalCount } apiKeys { totalCount } members { totalCount } } }",
        desk.viewers[Role.ANALYST],
    )
    assert data["workspace"] == {
        "name": "Team",
        "invitations": None,
        "apiKeys": None,
        "members": {"totalCount": 4},
    }
    assert sorted(error[1]["needed"] for error in errors) == ["manage_api_keys", "manage_members"]


async def test_connectors_of_two_workspaces_do_not_meet(world: World):
    desk = await team(world)
    await created(world, name="mine")
    seen = await world.ask("{ connectors { totalCount } }", desk.viewers[Role.OWNER])
    assert seen["connectors"]["totalCount"] == 0
