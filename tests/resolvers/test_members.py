import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.identity import Role, Unauthenticated, Viewer, invitations
from resolvers import ids
from tests import factories
from tests.factories import FixedClock
from tests.resolvers.teams import (
    Team,
    acting,
    mailbox,
    person,
    somebody,
    stored,
    team,
    user,
    with_key,
)
from tests.resolvers.world import World, living

INVITE = """mutation($email: String!) {
    inviteMember(input: {email: $email, role: VIEWER}) { __typename } }"""
CREATE_KEY = """mutation($input: CreateApiKeyInput!) {
    createApiKey(input: $input) { __typename } }"""


async def invite(world: World, viewer: Viewer, email: str, role: str = "VIEWER") -> dict[str, Any]:
    return await world.do(
        "inviteMember",
        "... on Invitation { id email role invitedBy { id } } ... on InvalidInput { field }"
        " ... on MemberLimitReached { limit } ... on AlreadyMember { email }",
        viewer,
        email=email,
        role=role,
    )


async def accept(world: World, viewer: Viewer, token: str) -> dict[str, Any]:
    return await world.do("acceptInvitation", "... on Workspace { id role }", viewer, token=token)


async def roles(world: World, desk: Team) -> dict[str, str]:
    """What each member is, by user id, as the database has it."""
    rows = await world.database.pool.fetch(
        "select user_id, role from members where workspace_id = $1", desk.workspace.id
    )
    return {ids.global_id("User", row["user_id"]): row["role"].upper() for row in rows}


async def test_an_invitation_is_mailed_and_accepted_by_its_address(world: World):
    desk = await team(world)
    admin = desk.viewers[Role.ADMIN]
    invited = await invite(world, admin, " New@Example.com ", "ANALYST")
    assert (invited["email"], invited["role"]) == ("new@example.com", "ANALYST")
    assert invited["invitedBy"] == {"id": person(admin)}
    mail = mailbox(world).mails[-1]
    assert (mail.to, mail.subject) == ("new@example.com", "You are invited to Team")
    token = mailbox(world).token()
    listed = "{ workspace { invitations { totalCount edges { node { email } } } } }"
    assert (await world.ask(listed, admin))["workspace"]["invitations"]["totalCount"] == 1
    newcomer = await acting(world, (await user(world, email="new@example.com")).id)
    assert await accept(world, newcomer, token) == {
        "__typename": "Workspace",
        "id": desk.id,
        "role": "ANALYST",
    }
    assert (await roles(world, desk))[person(newcomer)] == "ANALYST"
    assert (await world.ask(listed, admin))["workspace"]["invitations"]["totalCount"] == 0
    assert (await accept(world, newcomer, token))["__typename"] == "InvitationInvalid"


async def test_an_invitation_is_good_for_nobody_else_and_not_for_ever(database_url: str):
    clock = FixedClock()
    async with living(database_url, clock=clock) as world:
        desk = await team(world)
        await invite(world, desk.viewers[Role.OWNER], "a@example.com")
        token = mailbox(world).token()
        thief = await acting(world, (await user(world)).id)
        for given in (token, "nonsense", ""):
            assert (await accept(world, thief, given))["__typename"] == "InvitationInvalid"
        clock.advance(days=7)
        late = await acting(world, (await user(world, email="a@example.com")).id)
        assert (await accept(world, late, token))["__typename"] == "InvitationInvalid"
        assert person(late) not in await roles(world, desk)


async def test_a_second_invitation_takes_the_firsts_place_and_can_be_taken_back(world: World):
    desk = await team(world)
    owner = desk.viewers[Role.OWNER]
    await invite(world, owner, "a@example.com", "VIEWER")
    first = mailbox(world).token()
    again_ = await invite(world, owner, "A@example.com", "ADMIN")
    newcomer = await acting(world, (await user(world, email="a@example.com")).id)
    assert (await accept(world, newcomer, first))["__typename"] == "InvitationInvalid"
    revoked = await world.do("revokeInvitation", "", owner, id=again_["id"])
    assert revoked["__typename"] == "Invitation"
    token = mailbox(world).token()
    assert (await accept(world, newcomer, token))["__typename"] == "InvitationInvalid"
    for id in (again_["id"], "nonsense"):
        gone = await world.do("revokeInvitation", "... on InvitationNotFound { id }", owner, id=id)
        assert (gone["__typename"], gone["id"]) == ("InvitationNotFound", id)


async def test_nobody_invites_above_their_own_role(world: World, monkeypatch):
    desk = await team(world)
    admin, owner = desk.viewers[Role.ADMIN], desk.viewers[Role.OWNER]
    input = {"email": "a@example.com", "role": "OWNER"}
    assert await world.forbidden("inviteMember", admin, **input) == "the role OWNER"
    for role in (Role.ANALYST, Role.VIEWER):
        needed = await world.forbidden(
            "inviteMember", desk.viewers[role], email="a@example.com", role="VIEWER"
        )
        assert needed == "manage_members"
    assert (await invite(world, owner, "a@example.com", "OWNER"))["role"] == "OWNER"
    member = (
        await world.ask("{ workspace { members { edges { node { user { email } } } } } }", owner)
    )["workspace"]["members"]["edges"][0]["node"]["user"]["email"]
    refused = await invite(world, owner, member.upper())
    assert (refused["__typename"], refused["email"]) == ("AlreadyMember", member)
    assert (await invite(world, owner, "nobody"))["field"] == "email"
    monkeypatch.setattr(invitations, "MEMBER_LIMIT", 5)
    assert (await invite(world, owner, "b@example.com"))["limit"] == 5


async def test_an_inviter_who_falls_takes_their_invitations_along(world: World):
    desk = await team(world)
    admin, owner = desk.viewers[Role.ADMIN], desk.viewers[Role.OWNER]
    await invite(world, admin, "a@example.com")
    token = mailbox(world).token()
    await world.do("removeMember", "", owner, userId=person(admin))
    newcomer = await acting(world, (await user(world, email="a@example.com")).id)
    assert (await accept(world, newcomer, token))["__typename"] == "InvitationInvalid"


async def test_who_closes_their_account_takes_keys_and_invitations_along(world: World):
    desk = await team(world)
    admin = desk.viewers[Role.ADMIN]
    await invite(world, admin, "a@example.com")
    token = mailbox(world).token()
    made = await world.do(
        "createApiKey",
        "... on CreatedApiKey { key }",
        admin,
        name="Program",
        permissions=["READ_DATA"],
    )
    closed = await world.do("deactivateAccount", "", admin, password="a password of theirs")
    assert closed["__typename"] == "Account"
    with pytest.raises(Unauthenticated) as refused:
        await with_key(world, made["key"])
    assert refused.value.reason == "key revoked"
    newcomer = await acting(world, (await user(world, email="a@example.com")).id)
    assert (await accept(world, newcomer, token))["__typename"] == "InvitationInvalid"


async def change(world: World, viewer: Viewer, user_id: str, role: str) -> dict[str, Any]:
    return await world.do(
        "changeMemberRole", "... on Member { userId role }", viewer, userId=user_id, role=role
    )


async def test_roles_are_changed_up_to_ones_own(world: World):
    desk = await team(world)
    admin, owner = desk.viewers[Role.ADMIN], desk.viewers[Role.OWNER]
    assert (await change(world, admin, desk.user(Role.VIEWER), "ADMIN"))["role"] == "ADMIN"
    for target, role in ((person(owner), "ADMIN"), (person(admin), "OWNER")):
        input = {"userId": target, "role": role}
        assert await world.forbidden("changeMemberRole", admin, **input) == "the role OWNER"
    assert (
        await world.forbidden(
            "changeMemberRole", desk.viewers[Role.ANALYST], userId=person(admin), role="VIEWER"
        )
        == "manage_members"
    )
    assert (await change(world, owner, person(admin), "OWNER"))["role"] == "OWNER"
    assert (await change(world, owner, person(owner), "VIEWER"))["role"] == "VIEWER"
    # Rights end with the change, whatever the request was admitted with.
    assert await world.forbidden(
        "changeMemberRole", owner, userId=person(admin), role="VIEWER"
    ) in ("manage_members", "manage_workspace")


async def test_the_last_owner_stays(world: World):
    desk = await team(world)
    owner = desk.viewers[Role.OWNER]
    refused = await change(world, owner, person(owner), "ADMIN")
    assert refused["__typename"] == "LastOwner"
    assert (await world.do("removeMember", "", owner, userId=person(owner)))[
        "__typename"
    ] == "LastOwner"
    assert (await world.do("leaveWorkspace", "", owner, id=desk.id))["__typename"] == "LastOwner"
    assert (await roles(world, desk))[person(owner)] == "OWNER"


async def test_of_two_owners_who_go_at_once_one_stays(world: World):
    desk = await team(world)
    first = desk.viewers[Role.OWNER]
    second = await somebody(world, desk.workspace.id, Role.OWNER)
    results = await asyncio.gather(
        *(world.do("leaveWorkspace", "", one, id=desk.id) for one in (first, second))
    )
    assert sorted(result["__typename"] for result in results) == ["FormerMember", "LastOwner"]


async def test_what_somebody_hands_out_while_they_are_removed_is_void(world: World):
    desk = await team(world)
    owner = desk.viewers[Role.OWNER]
    for _ in range(3):
        admin = await somebody(world, desk.workspace.id, Role.ADMIN)
        key = {"name": "Program", "permissions": ["READ_DATA"]}
        await asyncio.gather(
            world.answer(INVITE, admin, email="a@example.com"),
            world.answer(CREATE_KEY, admin, input=key),
            world.do("removeMember", "", owner, userId=person(admin)),
            world.answer(INVITE, admin, email="b@example.com"),
        )
    left = """
        select (select count(*) from api_keys where revoked_at is null),
            (select count(*) from invitations where revoked_at is null),
            (select count(*) from members where workspace_id = $1)
    """
    found = await world.database.pool.fetchrow(left, desk.workspace.id)
    assert tuple(found) == (0, 0, len(Role))


async def test_ownership_is_handed_over(world: World):
    desk = await team(world)
    owner, analyst = desk.viewers[Role.OWNER], desk.viewers[Role.ANALYST]
    handed = await world.do(
        "transferOwnership", "... on Workspace { id role }", owner, userId=person(analyst)
    )
    assert handed == {"__typename": "Workspace", "id": desk.id, "role": "ADMIN"}
    now = await roles(world, desk)
    assert (now[person(analyst)], now[person(owner)]) == ("OWNER", "ADMIN")
    admin = desk.viewers[Role.ADMIN]
    needed = await world.forbidden("transferOwnership", admin, userId=person(admin))
    assert needed == "own_workspace"


async def test_members_are_removed_and_leave_with_all_they_had(world: World):
    desk = await team(world)
    admin, owner = desk.viewers[Role.ADMIN], desk.viewers[Role.OWNER]
    group = await stored(world, factories.group(desk.workspace.id))
    for viewer in (admin, desk.viewers[Role.VIEWER]):
        await stored(world, factories.group_member(group, viewer.user_id))
    await stored(world, factories.api_key(desk.workspace.id, admin.user_id))
    assert await world.forbidden("removeMember", admin, userId=person(owner)) == "the role OWNER"
    removed = await world.do(
        "removeMember",
        "... on FormerMember { userId workspaceId }",
        admin,
        userId=desk.user(Role.VIEWER),
    )
    assert (removed["userId"], removed["workspaceId"]) == (desk.user(Role.VIEWER), desk.id)
    left = await world.do("leaveWorkspace", "", admin, id=desk.id)
    assert left["__typename"] == "FormerMember"
    assert set(await roles(world, desk)) == {person(owner), desk.user(Role.ANALYST)}
    row = await world.database.pool.fetchrow(
        "select (select count(*) from group_members where workspace_id = $1) as grouped,"
        " (select count(*) from api_keys where workspace_id = $1 and revoked_at is null) as keys",
        desk.workspace.id,
    )
    assert tuple(row) == (0, 0)


async def test_a_demoted_members_keys_end_when_they_may_more_than_their_maker(world: World):
    desk = await team(world)
    admin, owner = desk.viewers[Role.ADMIN], desk.viewers[Role.OWNER]
    for permissions in (["read_data"], ["read_data", "manage_secrets"]):
        await stored(
            world,
            factories.api_key(
                desk.workspace.id, admin.user_id, name=permissions[-1], permissions=permissions
            ),
        )
    await change(world, owner, person(admin), "ANALYST")
    valid = await world.database.pool.fetch(
        "select name from api_keys where workspace_id = $1 and revoked_at is null",
        desk.workspace.id,
    )
    assert [row["name"] for row in valid] == ["read_data"]


async def test_unknown_members_are_not_found_by_the_id_that_was_given(world: World):
    desk = await team(world)
    owner = desk.viewers[Role.OWNER]
    stranger = await acting(world, (await user(world)).id)
    for id in (person(stranger), "nonsense", desk.id):
        for mutation, more in [
            ("changeMemberRole", {"role": "VIEWER"}),
            ("removeMember", {}),
            ("transferOwnership", {}),
        ]:
            refused = await world.do(
                mutation, "... on MemberNotFound { userId }", owner, userId=id, **more
            )
            assert (refused["__typename"], refused["userId"]) == ("MemberNotFound", id)


async def test_people_are_known_to_those_they_share_a_workspace_with(world: World):
    desk = await team(world)
    document = "query($id: ID!) { node(id: $id) { ... on User { email } } }"
    colleague = desk.user(Role.VIEWER)
    assert (await world.ask(document, desk.viewers[Role.ADMIN], id=colleague))["node"]
    at_home = await acting(world, desk.viewers[Role.ADMIN].user_id)
    assert (await world.ask(document, at_home, id=colleague))["node"]
    stranger = await acting(world, (await user(world)).id)
    assert (await world.ask(document, stranger, id=colleague))["node"] is None
    assert (await world.ask(document, stranger, id=person(stranger)))["node"]


async def test_an_invitation_lasts_seven_days():
    assert timedelta(days=7) == invitations.LIFETIME


async def test_a_viewer_who_was_removed_is_refused_whatever_the_request_was_admitted_with(
    world: World,
):
    desk = await team(world)
    admin, owner = desk.viewers[Role.ADMIN], desk.viewers[Role.OWNER]
    await world.do("removeMember", "", owner, userId=person(admin))
    needed = await world.forbidden("inviteMember", admin, email="x@example.com")
    assert needed == "membership of this workspace"
    assert not mailbox(world).mails
