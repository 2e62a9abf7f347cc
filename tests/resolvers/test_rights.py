"""Every root field of the schema against everybody who may call; a field that is in no table here fails."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from graphql import (
    ExecutionResult,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    Undefined,
    get_named_type,
    is_composite_type,
    parse,
)
from graphql.execution import create_source_event_stream
from graphql.execution.executor import Executor

from domain.identity import (
    OPEN_OPERATIONS,
    PERMISSIONS,
    Invitation,
    Permission,
    Role,
    Viewer,
)
from resolvers import ids
from schema.errors import top_level
from schema.root import schema
from tests import factories
from tests.resolvers.teams import Team, again, new_key_viewer, stored, team
from tests.resolvers.world import World, connector_id

ANYBODY = "anybody who is signed in"
PERSON = "a person who is signed in"

NEEDED: Mapping[str, Permission | str] = {
    **dict.fromkeys(("node", "viewer", "workspace"), ANYBODY),
    **dict.fromkeys(
        (
            "accountEvents",
            "signOut",
            "endSession",
            "changePassword",
            "changeEmail",
            "confirmEmailChange",
            "linkProvider",
            "confirmProviderLink",
            "unlinkProvider",
            "updateAccount",
            "deactivateAccount",
            "enrolTotp",
            "confirmTotp",
            "disableTotp",
            "renewRecoveryCodes",
            "exportMyData",
            "deleteMyAccount",
            "confirmAccountDeletion",
            "cancelAccountDeletion",
            "createWorkspace",
            "acceptInvitation",
            "leaveWorkspace",
        ),
        PERSON,
    ),
    **dict.fromkeys(
        (
            "connectors",
            "messages",
            "messageBatches",
            "quarantine",
            "sequenceGaps",
            "instruments",
            "storage",
            "connectorStatus",
            "secrets",
        ),
        Permission.READ_DATA,
    ),
    **dict.fromkeys(("saveMessages", "replayQuarantine"), Permission.WRITE_DATA),
    **dict.fromkeys(
        (
            "createConnector",
            "updateConnector",
            "deleteConnector",
            "startConnector",
            "stopConnector",
            "testConnector",
        ),
        Permission.MANAGE_CONNECTORS,
    ),
    **dict.fromkeys(("setSecret", "deleteSecret"), Permission.MANAGE_SECRETS),
    **dict.fromkeys(("createApiKey", "revokeApiKey"), Permission.MANAGE_API_KEYS),
    **dict.fromkeys(
        ("inviteMember", "revokeInvitation", "changeMemberRole", "removeMember"),
        Permission.MANAGE_MEMBERS,
    ),
    **dict.fromkeys(
        (
            "createGroup",
            "updateGroup",
            "deleteGroup",
            "addGroupMember",
            "removeGroupMember",
            "shareResource",
            "unshareResource",
        ),
        Permission.MANAGE_GROUPS,
    ),
    "auditEvents": Permission.READ_AUDIT,
    "updateWorkspace": Permission.MANAGE_WORKSPACE,
    **dict.fromkeys(("deleteWorkspace", "transferOwnership"), Permission.OWN_WORKSPACE),
}
"""What each root field takes that is not open to all."""

HIDDEN = {
    "revokeApiKey": "ApiKeyNotFound",
    "revokeInvitation": "InvitationNotFound",
}
"""Fields about things that are not even seen without the permission: who lacks it finds nothing."""

Given = Mapping[str, Any]


def roots() -> dict[str, tuple[str, GraphQLField]]:
    """Every root field by its name, with its operation; `messages` and such are both a query and a subscription."""
    found = {}
    core = schema._schema
    for operation, type in (
        ("query", core.query_type),
        ("mutation", core.mutation_type),
        ("subscription", core.subscription_type),
    ):
        assert isinstance(type, GraphQLObjectType)
        for name, field in type.fields.items():
            found[f"{operation} {name}"] = (operation, field)
    return found


def value_for(name: str, type: Any, given: Given) -> Any:
    """A value that a client could send, of what is at hand where there is something."""
    if name in given:
        return given[name]
    if isinstance(type, GraphQLNonNull):
        return value_for(name, type.of_type, given)
    if isinstance(type, GraphQLList):
        return [value_for(name, type.of_type, given)]
    if isinstance(type, GraphQLInputObjectType):
        return {
            key: value_for(key, field.type, given)
            for key, field in type.fields.items()
            if key in given.get("optional", ())
            or (isinstance(field.type, GraphQLNonNull) and field.default_value is Undefined)
        }
    if isinstance(type, GraphQLEnumType):
        return next(iter(type.values))
    return {"Int": 1, "Boolean": True, "JSON": {}, "Decimal": "1"}.get(type.name, "x")


def document(operation: str, name: str, field: GraphQLField) -> str:
    required = {key: arg for key, arg in field.args.items() if isinstance(arg.type, GraphQLNonNull)}
    declared = ", ".join(f"${key}: {arg.type}" for key, arg in required.items())
    passed = ", ".join(f"{key}: ${key}" for key in required)
    body = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
    return (
        f"{operation}{f'({declared})' if declared else ''}"
        f" {{ {name}{f'({passed})' if passed else ''}{body} }}"
    )


async def outcome(
    world: World, viewer: Viewer | None, operation: str, field_name: str, given: Given
) -> str:
    """FORBIDDEN, UNAUTHENTICATED, a type's name, or a dash when the answer has none."""
    field = roots()[f"{operation} {field_name}"][1]
    text = document(operation, field_name, field)
    variables = {
        key: value_for(key, arg.type, given)
        for key, arg in field.args.items()
        if isinstance(arg.type, GraphQLNonNull)
    }
    if operation == "subscription":
        return await followed(world, viewer, text, variables)
    data, errors = await world.answer(text, viewer, **variables)
    for error in errors:
        assert isinstance(error, tuple), (field_name, error)
        if error[1]["code"] in ("FORBIDDEN", "UNAUTHENTICATED"):
            return str(error[1]["code"])
    shown = (data or {}).get(field_name)
    return str(shown.get("__typename", "-")) if isinstance(shown, dict) else "-"


async def followed(
    world: World, viewer: Viewer | None, text: str, variables: dict[str, Any]
) -> str:
    executor = Executor.build(
        schema._schema,
        parse(text),
        context_value=world.context(viewer),
        raw_variable_values=variables,
    )
    assert isinstance(executor, Executor)
    stream: Any = create_source_event_stream(executor)
    result = await stream if executor.is_awaitable(stream) else stream
    if not isinstance(result, ExecutionResult):
        return "-"
    assert result.errors
    told = top_level(result.errors[0].original_error)
    assert told is not None
    return str(told[1]["code"])


async def a_connector(world: World, desk: Team) -> str:
    connector = factories.connector(workspace_id=desk.workspace.id, url="http://127.0.0.1:1/")
    return connector_id((await stored(world, connector)).id)


async def at_hand(world: World, desk: Team, name: str, connector: str) -> Given:
    """Things for one call; what an allowed call uses up is fresh."""
    workspace_id, owner = desk.workspace.id, desk.viewers[Role.OWNER].user_id
    assert owner is not None
    given: dict[str, Any] = {
        "connectorId": connector,
        "resourceId": connector,
        "id": connector,
        "userId": ids.global_id("User", factories.new_id()),
        "url": "wss://stream.example.com/ws",
        "email": f"{factories.new_id().hex}@example.com",
        "permissions": ["READ_DATA"],
        "name": f"n{factories.new_id().hex}",
        "optional": ("id",) if name == "testConnector" else (),
    }
    if "Group" in name or name in ("shareResource", "unshareResource"):
        group = await stored(world, factories.group(workspace_id))
        given["groupId"] = given["id"] = ids.global_id("Group", group.id)
    if name == "deleteConnector":
        given["id"] = await a_connector(world, desk)
    if name in ("deleteWorkspace", "leaveWorkspace"):
        given["id"] = desk.id
    if name == "revokeApiKey":
        key = await stored(world, factories.api_key(workspace_id, owner))
        given["id"] = ids.global_id("ApiKey", key.id)
    if name == "revokeInvitation":
        invitation = Invitation(
            id=factories.new_id(),
            workspace_id=workspace_id,
            email=given["email"],
            role=Role.VIEWER,
            token_hash=factories.new_id().bytes,
            created_at=factories.NOW,
            expires_at=factories.NOW,
        )
        given["id"] = ids.global_id("Invitation", (await stored(world, invitation)).id)
    return given


def test_every_root_field_is_in_one_table():
    names = {key.split()[1] for key in roots()}
    assert names == set(NEEDED) | OPEN_OPERATIONS
    assert not set(NEEDED) & OPEN_OPERATIONS


def expected(name: str, permissions: frozenset[Permission], shown: str) -> bool:
    """Whether that is what a person with these permissions must get."""
    needed = NEEDED.get(name, ANYBODY)
    if isinstance(needed, str) or needed in permissions:
        return shown not in ("FORBIDDEN", "UNAUTHENTICATED", HIDDEN.get(name))
    return shown == HIDDEN.get(name, "FORBIDDEN")


async def wrong(
    world: World, desk: Team, viewer: Viewer | None, right: Callable[[str, str], bool]
) -> dict[str, str]:
    """Fields whose outcome for a viewer is not right."""
    found = {}
    connector = await a_connector(world, desk)
    for key, (operation, _) in roots().items():
        name = key.split()[1]
        if name == "leaveWorkspace" and viewer is not None and viewer.api_key_id is None:
            continue  # of its own test: a member who left has no rights to test
        given = await at_hand(world, desk, name, connector)
        shown = await outcome(world, viewer, operation, name, given)
        if not right(name, shown):
            found[key] = shown
    return found


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_what_the_table_of_permissions_says(world: World, role: Role):
    desk = await team(world)
    found = await wrong(
        world,
        desk,
        desk.viewers[role],
        lambda name, shown: expected(name, PERMISSIONS[role], shown),
    )
    assert found == {}


async def test_nobody_may_do_more_than_come_in(world: World):
    desk = await team(world)
    found = await wrong(
        world,
        desk,
        None,
        lambda name, shown: (shown == "UNAUTHENTICATED") is (name not in OPEN_OPERATIONS),
    )
    assert found == {}


async def test_who_lacks_a_required_second_factor_may_look_after_their_account_alone(world: World):
    desk = await team(world)
    await world.database.pool.execute(
        "update workspaces set second_factor_required = true where id = $1", desk.workspace.id
    )
    owner = await again(world, desk.viewers[Role.OWNER])

    def right(name: str, shown: str) -> bool:
        if isinstance(NEEDED.get(name), Permission):
            return shown == "FORBIDDEN" or shown.endswith("NotFound")
        return shown not in ("FORBIDDEN", "UNAUTHENTICATED") or name == "node"

    assert await wrong(world, desk, owner, right) == {}


async def test_a_key_may_what_it_says_and_nothing_that_people_do(world: World):
    desk = await team(world)
    permissions = frozenset({Permission.READ_DATA})
    key = await new_key_viewer(world, desk, permissions)

    def right(name: str, shown: str) -> bool:
        if NEEDED.get(name) == PERSON:
            return shown == "FORBIDDEN"
        return expected(name, permissions, shown)

    assert await wrong(world, desk, key, right) == {}
