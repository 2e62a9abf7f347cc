"""Named secrets: who may set, see, delete and refer to them, and what comes of it."""

from typing import Any
from uuid import UUID

import pytest

from domain.identity import (
    PERMISSIONS,
    Access,
    ResourceKind,
    ResourceShare,
    Role,
    Viewer,
)
from resolvers import ids
from tests import factories
from tests.factories import HOME_WORKSPACE_ID, NOW
from tests.resolvers.world import FAULT, TEST, URL, VIEWER, World, created, echo, uuid_of

SECRET = """... on Secret { id name masked version createdAt updatedAt lastUsedAt createdBy { id } updatedBy { id }
  connectors { totalCount edges { node { id name } } } }
  ... on InvalidInput { field reason } ... on StaleVersion { expected actual } ... on SecretLimitReached { limit }"""
DELETED = """... on DeletedSecret { id name } ... on SecretNotFound { name }
  ... on SecretInUse { name usedBy count }"""
REFERS = """... on Connector { id version secretFields secretReferences { field secret } }
  ... on InvalidInput { field reason }"""
LIST = "{ secrets { totalCount edges { node { name masked version } } } }"


async def put(world: World, name: str = "okx-main", value: str = "s3cret", **values: Any) -> Any:
    return await world.do("setSecret", SECRET, name=name, value=value, **values)


async def somebody(world: World, role: Role, shared: tuple[UUID, Access] | None = None) -> Viewer:
    """A member of a workspace with this role, and of a group with which a resource is shared."""
    user, group = factories.user(), factories.group(HOME_WORKSPACE_ID)
    await factories.save(world.database, user, group)
    await factories.save(world.database, factories.member(HOME_WORKSPACE_ID, user.id, role))
    groups: frozenset[UUID] = frozenset()
    if shared is not None:
        groups = frozenset({group.id})
        await factories.save(
            world.database,
            factories.group_member(group, user.id),
            ResourceShare(
                id=factories.new_id(),
                workspace_id=HOME_WORKSPACE_ID,
                group_id=group.id,
                kind=ResourceKind.SECRET,
                resource_id=shared[0],
                access=shared[1],
                created_at=NOW,
            ),
        )
    return Viewer(HOME_WORKSPACE_ID, user_id=user.id, permissions=PERMISSIONS[role], groups=groups)


async def names(world: World, viewer: Viewer) -> list[str]:
    data = await world.ask(LIST, viewer)
    return [edge["node"]["name"] for edge in data["secrets"]["edges"]]


def referring(**fields: str | None) -> list[dict[str, Any]]:
    return [{"field": field, "secret": secret} for field, secret in fields.items()]


async def test_a_secret_is_made_then_set_anew_under_its_name(world: World):
    first = await put(world, value="sk_live_51HqLyjWDarjtT1zdp7dcABCD")
    assert (first["masked"], first["version"], first["lastUsedAt"]) == ("••••ABCD", 1, None)
    again = await put(world, value="hunter2")
    assert (again["id"], again["masked"], again["version"]) == (first["id"], "••••••••", 2)
    assert again["updatedAt"] > again["createdAt"] == first["createdAt"]
    assert first["createdBy"] == again["updatedBy"] != None  # noqa: E711
    node = await world.ask(
        "query($id: ID!) { node(id: $id) { ... on Secret { name version } } }", id=first["id"]
    )
    assert node["node"] == {"name": "okx-main", "version": 2}


async def test_an_expected_version_guards_against_others(world: World):
    assert (await put(world, expectedVersion=1))["actual"] == 0
    assert (await put(world, expectedVersion=0))["version"] == 1
    assert (await put(world, expectedVersion=0))["actual"] == 1
    assert (await put(world, expectedVersion=1))["version"] == 2


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ({"name": "not a name"}, "name"),
        ({"value": ""}, "value"),
        ({"value": "x" * 65_537}, "value"),
    ],
)
async def test_what_is_no_secret_is_refused(world: World, input, field):
    assert (await put(world, **input))["field"] == field


async def test_only_managers_set_and_delete_and_nobody_else_learns_what_there_is(world: World):
    await put(world, "one")
    for role in (Role.ANALYST, Role.VIEWER):
        viewer = await somebody(world, role)
        for name in ("one", "nothing"):
            for mutation, input in (
                ("setSecret", {"name": name, "value": "v"}),
                ("deleteSecret", {"name": name}),
            ):
                assert await world.forbidden(mutation, viewer, **input) == "manage_secrets"
    assert await names(world, await somebody(world, Role.ADMIN)) == ["one"]
    assert await names(world, await somebody(world, Role.ANALYST)) == ["one"]
    assert await names(world, await somebody(world, Role.VIEWER)) == []


async def test_a_share_lets_a_group_list_and_use_or_set_one_secret(world: World):
    shared, other = await put(world, "shared"), await put(world, "other")
    reader = await somebody(world, Role.VIEWER, (uuid_of(shared["id"]), Access.READ))
    writer = await somebody(world, Role.VIEWER, (uuid_of(shared["id"]), Access.WRITE))
    for viewer in (reader, writer):
        assert await names(world, viewer) == ["shared"]
        query = "query($id: ID!) { node(id: $id) { id } }"
        assert (await world.ask(query, viewer, id=other["id"]))["node"] is None
        assert await world.forbidden("deleteSecret", viewer, name="shared") == "manage_secrets"
    assert await world.forbidden("setSecret", reader, name="shared", value="v") == "manage_secrets"
    set_anew = await world.do("setSecret", SECRET, writer, name="shared", value="v")
    assert set_anew["version"] == 2
    assert await world.forbidden("setSecret", writer, name="other", value="v") == "manage_secrets"
    await world.do("deleteSecret", DELETED, name="shared")
    assert await world.database.pool.fetchval("select count(*) from resource_shares") == 0


async def test_secrets_of_another_workspace_are_their_own(world: World):
    await put(world, "mine")
    there = factories.workspace()
    await factories.save(world.database, there)
    query = "query($id: ID!) { secrets(workspaceId: $id) { totalCount } }"
    elsewhere = ids.global_id("Workspace", there.id)
    assert (await world.refused(query, id=elsewhere))["code"] == "NOT_FOUND"
    await factories.save(world.database, factories.member(there.id, VIEWER.user_id))
    assert (await world.ask(query, id=elsewhere))["secrets"]["totalCount"] == 0
    here = ids.global_id("Workspace", HOME_WORKSPACE_ID)
    assert (await world.ask(query, id=here))["secrets"]["totalCount"] == 1


async def test_a_connector_refers_to_a_secret_by_name(world: World):
    await put(world)
    made = await world.do(
        "createConnector",
        REFERS,
        name="Prices",
        url=URL,
        authType="API_KEY",
        bearerToken="its-own",
        secretReferences=referring(**{"apiKey": "okx-main", "headers.X-Key": "okx-main"}),
    )
    assert made["secretFields"] == ["apiKey", "bearerToken", "headers.X-Key"]
    assert made["secretReferences"] == referring(
        **{"apiKey": "okx-main", "headers.X-Key": "okx-main"}
    )
    data = await world.ask(
        "{ secrets { edges { node { connectors { edges { node { name } } } } } } }"
    )
    used_by = data["secrets"]["edges"][0]["node"]["connectors"]["edges"]
    assert [edge["node"]["name"] for edge in used_by] == ["Prices"]
    changed = await world.do(
        "updateConnector",
        REFERS,
        id=made["id"],
        secretReferences=referring(**{"headers.X-Key": None}),
    )
    assert changed["secretReferences"] == referring(apiKey="okx-main")
    replaced = await world.do("updateConnector", REFERS, id=made["id"], apiKey="its-own-too")
    assert replaced["secretReferences"] == []
    assert replaced["secretFields"] == ["apiKey", "bearerToken"]
    again = await world.do(
        "updateConnector", REFERS, id=made["id"], secretReferences=referring(apiKey="okx-main")
    )
    assert again["secretFields"] == ["apiKey", "bearerToken"]
    needed = await world.do("updateConnector", REFERS, id=made["id"], secretReferences=None)
    assert (needed["field"], needed["reason"]) == ("apiKey", "is needed for API_KEY")


@pytest.mark.parametrize(
    ("references", "field"),
    [
        (referring(apiKey="nothing"), "secretReferences.0.secret"),
        (referring(nonsense="okx-main"), "secretReferences.0.field"),
        ([*referring(apiKey="okx-main"), *referring(apiKey="okx-main")], "secretReferences"),
        (referring(bearerToken="okx-main"), "secretReferences"),
        (referring(apiKey="pem"), "apiKey"),
    ],
)
async def test_a_reference_that_cannot_be_used_is_refused(world: World, references, field):
    await put(world)
    await put(world, "pem", "line one\nline two")
    input = {"name": "Prices", "url": URL, "bearerToken": "own", "secretReferences": references}
    made = await world.do("createConnector", REFERS, **input)
    assert made["field"] == field
    id = await created(world, bearerToken="own")
    input = {"id": id, "bearerToken": "own", "secretReferences": references}
    assert (await world.do("updateConnector", REFERS, **input))["field"] == field


async def test_referring_takes_the_right_to_use_the_secret(world: World):
    shared = await put(world, "shared")
    await put(world, "other")
    sharing = (uuid_of(shared["id"]), Access.READ)
    viewer = await somebody(world, Role.ANALYST, sharing)
    maker = Viewer(
        HOME_WORKSPACE_ID,
        user_id=viewer.user_id,
        permissions=viewer.permissions
        - {p for p in viewer.permissions if p.value == "use_secrets"},
        groups=viewer.groups,
    )
    input = {"name": "Prices", "url": URL}
    for name in ("other", "nothing"):
        refused = referring(apiKey=name)
        needed = await world.forbidden("createConnector", maker, **input, secretReferences=refused)
        assert needed == "use_secrets"
    made = await world.do(
        "createConnector", REFERS, maker, **input, secretReferences=referring(apiKey="shared")
    )
    assert made["secretFields"] == ["apiKey"]


async def test_a_referred_secret_goes_to_no_other_host_unless_named_again(world: World):
    await put(world)
    id = await created(world, secretReferences=referring(apiKey="okx-main"))
    away = {"id": id, "url": "wss://elsewhere.example.com/ws"}
    for mutation, input in (("updateConnector", away), ("testConnector", {"changes": away})):
        refused = await world.do(mutation, FAULT, **input)
        assert refused["field"] == "url"
        assert "apiKey" in refused["reason"]
    viewer = await somebody(world, Role.ANALYST)
    unable = Viewer(
        HOME_WORKSPACE_ID,
        user_id=viewer.user_id,
        permissions=frozenset(p for p in viewer.permissions if p.value != "use_secrets"),
    )
    again = away | {"secretReferences": referring(apiKey="okx-main")}
    assert await world.forbidden("updateConnector", unable, **again) == "use_secrets"
    renamed = await world.do("updateConnector", REFERS, unable, id=id, name="Renamed")
    assert renamed["secretFields"] == ["apiKey"]
    moved = await world.do("updateConnector", REFERS, viewer, **again)
    assert moved["secretReferences"] == referring(apiKey="okx-main")
    rows = await world.database.pool.fetch(
        "select user_id, changes from audit_events where action = 'referToSecret' order by id"
    )
    assert [row["user_id"] for row in rows] == [VIEWER.user_id, viewer.user_id]
    assert "elsewhere.example.com" in rows[-1]["changes"]


async def test_a_secret_in_use_stays_unless_forced(world: World):
    await put(world)
    first = await created(world, name="B", secretReferences=referring(apiKey="okx-main"))
    await created(world, name="A", secretReferences=referring(password="okx-main"))
    kept = await world.do("deleteSecret", DELETED, name="okx-main")
    assert (kept["usedBy"], kept["count"], kept["code"]) == (["A", "B"], 2, "SECRET_IN_USE")
    assert (await world.do("deleteSecret", DELETED, name="nothing"))["name"] == "nothing"
    world.changes.told.clear()
    gone = await world.do("deleteSecret", DELETED, name="okx-main", force=True)
    assert gone["__typename"] == "DeletedSecret"
    assert uuid_of(first) in world.changes.told
    assert len(world.changes.told) == 2
    assert await names(world, VIEWER) == []
    tested = await world.do("testConnector", TEST + FAULT, id=first)
    assert tested["reason"] == "refers to okx-main, which does not exist"


async def test_setting_a_secret_tells_the_connectors_that_use_it(world: World):
    await put(world)
    id = await created(world, secretReferences=referring(apiKey="okx-main"))
    await created(world, name="Another")
    world.changes.told.clear()
    await put(world, value="new")
    assert world.changes.told == [uuid_of(id)]


async def test_a_test_sends_the_value_hides_it_and_writes_its_use_down(world: World):
    made = await put(world, value="token-that-an-echo-shows")
    async with echo() as url:
        input = {
            "name": "Echo",
            "url": url,
            "authType": "BEARER",
            "mapping": {
                "items": "@",
                "price": "price",
                "type": {"value": "TICKER"},
                "instrument": {"value": "X"},
            },
            "secretReferences": referring(bearerToken="okx-main"),
        }
        seen = await world.do("testConnector", TEST + FAULT, configuration=input)
    assert "Bearer ***" in seen["frame"] or "bearer ***" in seen["frame"].lower(), seen
    assert "token-that-an-echo-shows" not in "".join(world.said)
    rows = await world.database.pool.fetch(
        "select user_id, subject_id, changes from audit_events where action = 'useSecret'"
    )
    assert [(row["user_id"], row["subject_id"]) for row in rows] == [
        (VIEWER.user_id, str(uuid_of(made["id"])))
    ]
    assert "127.0.0.1" in rows[0]["changes"]
    data = await world.ask("{ secrets { edges { node { lastUsedAt } } } }")
    assert data["secrets"]["edges"][0]["node"]["lastUsedAt"] is not None
