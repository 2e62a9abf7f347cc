from typing import Any

from domain.connectors import ConnectorStatus, Venue
from domain.identity import Access, Role, Viewer, groups
from domain.messages import QuarantinedFrame, QuarantineReason
from resolvers import ids
from tests import factories
from tests.resolvers.teams import Team, acting, again, grouped, person, stored, team, user
from tests.resolvers.world import FACTS as CONNECTOR
from tests.resolvers.world import World, connector_id

GROUP = """... on Group { id name description members { totalCount edges { node { userId role } } }
    shares { edges { node { resourceId kind access group { name } } } } }"""
FACTS = GROUP + "... on InvalidInput { field } ... on GroupNameTaken { name }"
MEMBER = GROUP + "... on MemberNotFound { userId }"


async def new_group(world: World, viewer: Viewer, **values: Any) -> dict[str, Any]:
    return await world.do("createGroup", FACTS, viewer, **{"name": "Quants", **values})


async def test_admins_make_change_and_delete_groups(world: World):
    desk = await team(world)
    admin = desk.viewers[Role.ADMIN]
    made = await new_group(world, admin, description="Models")
    assert (made["name"], made["description"]) == ("Quants", "Models")
    changed = await world.do("updateGroup", FACTS, admin, id=made["id"], name=" Traders ")
    assert (changed["name"], changed["description"]) == ("Traders", "Models")
    listed = await world.ask(
        "{ workspace { groups { edges { node { id name } } } } }", desk.viewers[Role.VIEWER]
    )
    assert listed["workspace"]["groups"]["edges"] == [
        {"node": {"id": made["id"], "name": "Traders"}}
    ]
    deleted = await world.do("deleteGroup", "... on DeletedGroup { id name }", admin, id=made["id"])
    assert (deleted["id"], deleted["name"]) == (made["id"], "Traders")
    for mutation in ("updateGroup", "deleteGroup"):
        gone = await world.do(mutation, "... on GroupNotFound { id }", admin, id=made["id"])
        assert (gone["__typename"], gone["id"]) == ("GroupNotFound", made["id"])


async def test_groups_that_cannot_be_are_refused(world: World, monkeypatch):
    desk = await team(world)
    admin = desk.viewers[Role.ADMIN]
    made = await new_group(world, admin)
    assert (await new_group(world, admin, name=" Quants "))["__typename"] == "GroupNameTaken"
    assert (await new_group(world, admin, name=""))["field"] == "name"
    assert (await new_group(world, admin, name="x", description="x" * 2001))[
        "field"
    ] == "description"
    unchanged = await world.do("updateGroup", FACTS, admin, id=made["id"])
    assert unchanged["__typename"] == "NoFieldsToUpdate"
    monkeypatch.setattr(groups, "GROUP_LIMIT", 1)
    refused = await world.do("createGroup", "... on GroupLimitReached { limit }", admin, name="y")
    assert refused["limit"] == 1


async def test_a_group_of_another_workspace_is_not_there(world: World):
    desk, other = await team(world), await team(world)
    group = await stored(world, factories.group(other.workspace.id))
    id = ids.global_id("Group", group.id)
    owner = desk.viewers[Role.OWNER]
    for mutation, more in [
        ("updateGroup", {"id": id, "name": "Mine"}),
        ("deleteGroup", {"id": id}),
        ("addGroupMember", {"groupId": id, "userId": person(owner)}),
        ("removeGroupMember", {"groupId": id, "userId": person(owner)}),
        ("shareResource", {"groupId": id, "resourceId": id}),
        ("unshareResource", {"groupId": id, "resourceId": id}),
    ]:
        assert (await world.do(mutation, "", owner, **more))["__typename"] == "GroupNotFound"
    document = "query($id: ID!) { node(id: $id) { id } }"
    assert (await world.ask(document, owner, id=id))["node"] is None
    assert (await world.ask(document, other.viewers[Role.VIEWER], id=id))["node"] == {"id": id}


async def test_members_enter_and_leave_groups(world: World):
    desk = await team(world)
    admin = desk.viewers[Role.ADMIN]
    id = (await new_group(world, admin))["id"]
    for _ in range(2):
        grown = await world.do(
            "addGroupMember", MEMBER, admin, groupId=id, userId=desk.user(Role.VIEWER)
        )
        assert [edge["node"]["userId"] for edge in grown["members"]["edges"]] == [
            desk.user(Role.VIEWER)
        ]
    stranger = await acting(world, (await user(world)).id)
    for who in (person(stranger), "nonsense"):
        refused = await world.do("addGroupMember", MEMBER, admin, groupId=id, userId=who)
        assert (refused["__typename"], refused["userId"]) == ("MemberNotFound", who)
    shrunk = await world.do(
        "removeGroupMember", MEMBER, admin, groupId=id, userId=desk.user(Role.VIEWER)
    )
    assert shrunk["members"]["totalCount"] == 0
    again_ = await world.do(
        "removeGroupMember", MEMBER, admin, groupId=id, userId=desk.user(Role.VIEWER)
    )
    assert again_["__typename"] == "MemberNotFound"


async def share(world: World, desk: Team, resource: str, group: Any, access: str) -> Any:
    return await world.do(
        "shareResource",
        "... on ResourceShare { resourceId kind access group { name } } ... on ResourceNotFound { id }",
        desk.viewers[Role.ADMIN],
        resourceId=resource,
        groupId=ids.global_id("Group", group.id),
        access=access,
    )


async def test_a_shared_connector_is_changed_and_run_by_the_groups_viewers(world: World):
    desk = await team(world)
    group = await grouped(world, desk, Role.VIEWER)
    viewer = desk.viewers[Role.VIEWER]
    connector = await stored(world, factories.connector(workspace_id=desk.workspace.id))
    id = connector_id(connector.id)
    assert await world.forbidden("startConnector", viewer, id=id) == "manage_connectors"
    shared = await share(world, desk, id, group, "READ")
    assert (shared["resourceId"], shared["kind"], shared["access"]) == (id, "CONNECTOR", "READ")
    assert await world.forbidden("startConnector", viewer, id=id) == "manage_connectors"
    assert (await share(world, desk, id, group, "WRITE"))["access"] == "WRITE"
    started = await world.do("startConnector", CONNECTOR, viewer, id=id)
    assert started["state"] == "STARTING"
    changed = await world.do("updateConnector", CONNECTOR, viewer, id=id, name="Ours")
    assert changed["name"] == "Ours"
    assert (await world.do("stopConnector", CONNECTOR, viewer, id=id))["enabled"] is False
    saved = await world.do(
        "saveMessages",
        "... on SavedMessages { savedCount }",
        viewer,
        connectorId=id,
        idempotencyKey="once",
        messages=[{"instrument": "X", "type": "OTHER", "data": {}}],
    )
    assert saved["__typename"] == "SavedMessages", saved
    assert await world.forbidden("deleteConnector", viewer, id=id) == "manage_connectors"
    other = await stored(world, factories.connector(workspace_id=desk.workspace.id))
    needed = await world.forbidden("startConnector", viewer, id=connector_id(other.id))
    assert needed == "manage_connectors"
    unshared = await world.do(
        "unshareResource",
        "... on UnsharedResource { resourceId groupId }",
        desk.viewers[Role.ADMIN],
        resourceId=id,
        groupId=ids.global_id("Group", group.id),
    )
    assert unshared["resourceId"] == id
    assert await world.forbidden("startConnector", viewer, id=id) == "manage_connectors"


async def test_a_connector_shared_for_writing_has_its_quarantine_replayed_by_the_group(
    world: World,
):
    desk = await team(world)
    group = await grouped(world, desk, Role.VIEWER)
    viewer = desk.viewers[Role.VIEWER]
    made = factories.connector(
        workspace_id=desk.workspace.id,
        venue=Venue.CUSTOM,
        mapping={"price": "p", "instrument": {"value": "X"}},
    )
    frame = QuarantinedFrame(
        id=factories.new_id(),
        workspace_id=desk.workspace.id,
        connector_id=made.id,
        received_at=factories.NOW,
        reason=QuarantineReason.UNEXPECTED,
        explanation="not understood",
        source=made.url,
        frame=b'{"p": "1.5"}',
        frame_bytes=12,
    )
    id = connector_id(made.id)
    status = ConnectorStatus(
        connector_id=made.id, workspace_id=desk.workspace.id, since=factories.NOW
    )
    await factories.save(world.database, made, frame)
    await factories.save(world.database, status)
    assert await world.forbidden("replayQuarantine", viewer, connectorId=id) == "write_data"
    await share(world, desk, id, group, "READ")
    assert await world.forbidden("replayQuarantine", viewer, connectorId=id) == "write_data"
    await share(world, desk, id, group, "WRITE")
    counts = "... on ReplayedQuarantine { replayedCount messageCount stillHeldCount }"
    replayed = await world.do("replayQuarantine", counts, viewer, connectorId=id)
    assert (replayed["replayedCount"], replayed["messageCount"]) == (1, 1), replayed


async def test_a_shared_secret_is_listed_then_set_by_the_group_until_it_is_unshared(world: World):
    desk = await team(world)
    group = await grouped(world, desk, Role.VIEWER)
    viewer, admin = desk.viewers[Role.VIEWER], desk.viewers[Role.ADMIN]
    made = await world.do("setSecret", "... on Secret { id }", admin, name="key", value="first")
    listed = "{ secrets { totalCount edges { node { id } } } }"
    assert (await world.ask(listed, viewer))["secrets"]["totalCount"] == 0
    shared = await share(world, desk, made["id"], group, "READ")
    assert (shared["resourceId"], shared["kind"]) == (made["id"], "SECRET")
    assert (await world.ask(listed, viewer))["secrets"]["edges"] == [{"node": {"id": made["id"]}}]
    new = {"name": "key", "value": "second"}
    assert await world.forbidden("setSecret", viewer, **new) == "manage_secrets"
    await share(world, desk, made["id"], group, "WRITE")
    again_ = await world.do("setSecret", "... on Secret { version }", viewer, **new)
    assert again_["version"] == 2
    group_id = ids.global_id("Group", group.id)
    await world.do("unshareResource", "", admin, resourceId=made["id"], groupId=group_id)
    assert await world.forbidden("setSecret", viewer, **new) == "manage_secrets"
    assert (await world.ask(listed, viewer))["secrets"]["totalCount"] == 0


async def test_only_what_is_in_the_workspace_can_be_shared(world: World):
    desk, other = await team(world), await team(world)
    group = await grouped(world, desk, Role.VIEWER)
    theirs = await stored(world, factories.connector(workspace_id=other.workspace.id))
    for id in (connector_id(theirs.id), desk.id, "nonsense"):
        refused = await share(world, desk, id, group, "READ")
        assert (refused["__typename"], refused["id"]) == ("ResourceNotFound", id)
    refused = await world.do(
        "unshareResource",
        "",
        desk.viewers[Role.ADMIN],
        resourceId=connector_id(theirs.id),
        groupId=ids.global_id("Group", group.id),
    )
    assert refused["__typename"] == "ResourceNotFound"


async def test_shares_go_with_what_was_shared(world: World):
    desk = await team(world)
    group = await grouped(world, desk, Role.VIEWER)
    connector = await stored(world, factories.connector(workspace_id=desk.workspace.id))
    await stored(world, factories.share(group, connector.id, Access.WRITE))
    analyst = desk.viewers[Role.ANALYST]
    deleted = await world.do("deleteConnector", "", analyst, id=connector_id(connector.id))
    assert deleted["__typename"] == "DeletedConnector"
    assert await world.database.pool.fetchval("select count(*) from resource_shares") == 0


async def test_shares_end_with_membership_of_the_group(world: World):
    desk = await team(world)
    group = await grouped(world, desk, Role.VIEWER)
    connector = await stored(world, factories.connector(workspace_id=desk.workspace.id))
    await stored(world, factories.share(group, connector.id, Access.WRITE))
    await world.do(
        "removeGroupMember",
        "",
        desk.viewers[Role.ADMIN],
        groupId=ids.global_id("Group", group.id),
        userId=desk.user(Role.VIEWER),
    )
    viewer = await again(world, desk.viewers[Role.VIEWER])
    needed = await world.forbidden("startConnector", viewer, id=connector_id(connector.id))
    assert needed == "manage_connectors"
