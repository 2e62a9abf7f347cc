from datetime import timedelta
from typing import Any

import pytest

from domain.identity import (
    ALL,
    NEVER_FOR_KEYS,
    Permission,
    Role,
    Unauthenticated,
    Viewer,
    key_making,
)
from tests.factories import NOW, FixedClock
from tests.resolvers.teams import Team, acting, person, team, user, with_key
from tests.resolvers.world import World, created, living

FACTS = """... on CreatedApiKey { key apiKey {
    id name prefix permissions createdBy { id } expiresAt lastUsedAt revokedAt } }
  ... on InvalidInput { field reason } ... on ApiKeyLimitReached { limit }"""


async def new_key(world: World, viewer: Viewer, **values: Any) -> dict[str, Any]:
    given = {"name": "ingest", "permissions": ["READ_DATA", "WRITE_DATA"], **values}
    return await world.do("createApiKey", FACTS, viewer, **given)


async def test_a_keys_text_is_told_once_and_then_known_by_its_prefix(world: World):
    desk = await team(world)
    admin = desk.viewers[Role.ADMIN]
    made = await new_key(world, admin)
    key, text = made["apiKey"], made["key"]
    assert key["name"] == "ingest"
    assert key["permissions"] == ["READ_DATA", "WRITE_DATA"]
    assert key["createdBy"] == {"id": person(admin)}
    assert (key["expiresAt"], key["lastUsedAt"], key["revokedAt"]) == (None, None, None)
    assert text.startswith(f"penstock_{key['prefix']}_")
    assert len(key["prefix"]) == 8
    assert len(text) > 50
    stored = await world.database.pool.fetch("select k::text from api_keys k")
    secret = text.split("_", 2)[2]
    assert secret not in str(stored)
    listed = await world.ask(
        "{ workspace { apiKeys { edges { node { id prefix } } } } viewer { apiKeys { totalCount } } }",
        admin,
    )
    assert listed["workspace"]["apiKeys"]["edges"] == [
        {"node": {"id": key["id"], "prefix": key["prefix"]}}
    ]
    assert listed["viewer"]["apiKeys"]["totalCount"] == 1
    other = await new_key(world, admin)
    assert other["key"] != text


async def test_a_key_acts_in_its_workspace_with_its_permissions_alone(world: World):
    desk = await team(world)
    reader = await with_key(
        world, (await new_key(world, desk.viewers[Role.ADMIN], permissions=["READ_DATA"]))["key"]
    )
    data = await world.ask("{ workspace { id role } viewer { user { id } permissions } }", reader)
    assert data == {
        "workspace": {"id": desk.id, "role": None},
        "viewer": {"user": None, "permissions": ["READ_DATA"]},
    }
    assert (await world.ask("{ connectors { totalCount } }", reader))["connectors"] == {
        "totalCount": 0
    }
    needed = await world.forbidden("createConnector", reader, name="x", url="wss://example.com/")
    assert needed == "manage_connectors"
    builder = await new_key(
        world, desk.viewers[Role.ADMIN], permissions=["READ_DATA", "MANAGE_CONNECTORS"]
    )
    made = await world.do(
        "createConnector",
        "... on Connector { name }",
        await with_key(world, builder["key"]),
        name="built",
        url="wss://example.com/",
    )
    assert made["name"] == "built"
    await created(world, name="at home")
    seen = await world.ask("{ connectors { edges { node { name } } } }", reader)
    assert [edge["node"]["name"] for edge in seen["connectors"]["edges"]] == ["built"]


async def test_a_program_does_nothing_that_only_people_do(world: World):
    desk = await team(world)
    allowed = [permission.name for permission in Permission if permission not in NEVER_FOR_KEYS]
    key = await with_key(
        world, (await new_key(world, desk.viewers[Role.OWNER], permissions=allowed))["key"]
    )
    for mutation, input in [
        ("createApiKey", {"name": "x", "permissions": ["READ_DATA"]}),
        ("inviteMember", {"email": "x@example.com"}),
        ("deleteWorkspace", {"id": desk.id, "name": "Team"}),
        ("leaveWorkspace", {"id": desk.id}),
        ("createWorkspace", {"name": "x"}),
        ("acceptInvitation", {"token": "x"}),
    ]:
        await world.forbidden(mutation, key, **input)


async def test_keys_that_cannot_be_are_refused_by_field(world: World, monkeypatch):
    desk = await team(world)
    admin = desk.viewers[Role.ADMIN]
    for values, field in [
        ({"name": " "}, "name"),
        ({"permissions": []}, "permissions"),
        ({"permissions": ["WRITE_DATA"]}, "permissions"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        *[({"permissions": ["READ_DATA", one.name]}, "permissions") for one in NEVER_FOR_KEYS],
    ]:
        refused = await new_key(world, admin, **values)
        assert (refused["__typename"], refused["field"]) == ("InvalidInput", field), values
    for role in (Role.ANALYST, Role.VIEWER):
        needed = await world.forbidden(
            "createApiKey", desk.viewers[role], name="x", permissions=["READ_DATA"]
        )
        assert needed == "manage_api_keys"
    monkeypatch.setattr(key_making, "KEY_LIMIT", 0)
    assert (await new_key(world, admin))["limit"] == 0


async def test_a_revoked_or_expired_key_is_nobody(database_url: str):
    clock = FixedClock()
    async with living(database_url, clock=clock) as world:
        desk = await team(world)
        admin = desk.viewers[Role.ADMIN]
        ending = await new_key(world, admin, expiresAt=(NOW + timedelta(hours=1)).isoformat())
        lasting = await new_key(world, admin)
        assert (await with_key(world, ending["key"])).api_key_id is not None
        clock.advance(hours=1)
        with pytest.raises(Unauthenticated) as refused:
            await with_key(world, ending["key"])
        assert "expired" in refused.value.reason
        revoked = await world.do(
            "revokeApiKey", "... on ApiKey { revokedAt }", admin, id=lasting["apiKey"]["id"]
        )
        assert revoked["revokedAt"] == "2026-11-21T13:00:00.000000Z"
        clock.advance(hours=1)
        once_more = await world.do(
            "revokeApiKey", "... on ApiKey { revokedAt }", admin, id=lasting["apiKey"]["id"]
        )
        assert once_more == revoked
        with pytest.raises(Unauthenticated) as refused:
            await with_key(world, lasting["key"])
        assert "revoked" in refused.value.reason
        with pytest.raises(Unauthenticated) as refused:
            await with_key(world, lasting["key"] + "x")
        assert "unknown" in refused.value.reason


async def test_a_key_is_nobody_once_its_maker_is_closed_however_that_came_about(world: World):
    desk = await team(world)
    made = await new_key(world, desk.viewers[Role.ADMIN])
    assert (await with_key(world, made["key"])).api_key_id is not None
    await world.database.pool.execute("update users set status = 'deactivated'")
    with pytest.raises(Unauthenticated) as refused:
        await with_key(world, made["key"])
    assert refused.value.reason == "key revoked"


async def revoke(world: World, viewer: Viewer, id: str) -> dict[str, Any]:
    return await world.do("revokeApiKey", "... on ApiKeyNotFound { id }", viewer, id=id)


async def test_keys_are_seen_by_those_who_manage_them(world: World):
    desk: Team = await team(world)
    id = (await new_key(world, desk.viewers[Role.OWNER]))["apiKey"]["id"]
    document = "query($id: ID!) { node(id: $id) { id } }"
    stranger = await acting(world, (await user(world)).id)
    for viewer in (desk.viewers[Role.ANALYST], desk.viewers[Role.VIEWER], stranger):
        assert (await world.ask(document, viewer, id=id))["node"] is None
        assert (await revoke(world, viewer, id))["id"] == id
    assert (await revoke(world, desk.viewers[Role.ADMIN], "nonsense"))["id"] == "nonsense"
    at_home = await acting(world, desk.viewers[Role.ADMIN].user_id)
    assert (await world.ask(document, at_home, id=id))["node"] == {"id": id}
    assert (await revoke(world, at_home, id))["__typename"] == "ApiKey"


async def test_every_permission_is_for_keys_or_for_people():
    assert NEVER_FOR_KEYS < ALL
