import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    build_schema,
    get_introspection_query,
    get_named_type,
    is_leaf_type,
    is_specified_scalar_type,
)
from strawberry.types import get_object_definition

from domain.errors import DomainError
from infra.web.sdl import printed
from schema.errors import Error, ErrorCode
from schema.root import schema

TYPES = {
    name: type
    for name, type in schema._schema.type_map.items()
    if not name.startswith("__") and not is_specified_scalar_type(type)
}
OBJECTS = [type for type in TYPES.values() if isinstance(type, GraphQLObjectType)]


def parts() -> Iterator[tuple[str, str | None]]:
    """Everything that has a description, by its path."""
    for name, type in TYPES.items():
        yield name, type.description
        if isinstance(type, GraphQLEnumType):
            for value, definition in type.values.items():
                yield f"{name}.{value}", definition.description
        if isinstance(type, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field, definition in type.fields.items():
                yield f"{name}.{field}", definition.description
                for argument, described in getattr(definition, "args", {}).items():
                    yield f"{name}.{field}({argument})", described.description


def test_everything_has_a_description_a_client_can_use():
    missing = [path for path, description in parts() if not (description or "").strip()]
    assert missing == []
    careless = [path for path, text in parts() if text and text[-1] not in ".?!)`"]
    assert [path for path in careless if not path.startswith(("PageInfo", "Node"))] == [
        f"{type.name}.id" for type in OBJECTS if any(i.name == "Node" for i in type.interfaces)
    ]


def test_the_committed_sdl_is_the_schema():
    committed = Path(__file__).parents[2] / "schema.graphql"
    assert committed.read_text() == printed(), "run: penstock schema print > schema.graphql"


def test_the_sdl_is_a_schema_by_itself():
    text = printed().replace("directive @oneOf on INPUT_OBJECT\n", "")
    assert set(build_schema(text).type_map) == set(schema._schema.type_map)


async def test_introspection_answers():
    result = await schema.execute(get_introspection_query())
    assert result.errors is None


CONTRACT = {
    "Query": {
        "node": "Node",
        "connectors": "ConnectorConnection!",
        "messages": "MessageConnection!",
        "messageBatches": "MessageBatchRecordConnection!",
        "quarantine": "QuarantinedFrameConnection!",
        "instruments": "InstrumentConnection!",
        "storage": "Storage!",
        "viewer": "Viewer!",
        "workspace": "Workspace",
        "auditEvents": "AuditEventConnection!",
        "secrets": "SecretConnection!",
    },
    "Workspace": {
        "id": "ID!",
        "name": "String!",
        "industry": "String",
        "location": "String",
        "timeZone": "String!",
        "currency": "String!",
        "personal": "Boolean!",
        "secondFactorRequired": "Boolean!",
        "version": "Int!",
        "createdAt": "DateTime!",
        "role": "Role",
        "members": "MemberConnection",
        "invitations": "InvitationConnection",
        "groups": "GroupConnection",
        "apiKeys": "ApiKeyConnection",
    },
    "CreatedApiKey": {"key": "String!", "apiKey": "ApiKey!"},
    "Viewer": {
        "user": "User",
        "account": "Account",
        "workspace": "Workspace!",
        "role": "Role",
        "permissions": "[Permission!]!",
        "workspaces": "WorkspaceConnection!",
        "sessions": "DeviceSessionConnection",
        "apiKeys": "ApiKeyConnection",
    },
    "Session": {
        "accessToken": "String!",
        "refreshToken": "String!",
        "expiresAt": "DateTime!",
        "user": "User!",
    },
    "DeviceSession": {
        "id": "ID!",
        "device": "String",
        "address": "String",
        "method": "SignInMethod!",
        "createdAt": "DateTime!",
        "lastUsedAt": "DateTime!",
        "expiresAt": "DateTime!",
        "current": "Boolean!",
    },
    "Mutation": {
        "register": "RegisterResult!",
        "verifyEmail": "VerifyEmailResult!",
        "signIn": "SignInResult!",
        "refreshSession": "RefreshSessionResult!",
        "signOut": "SignOutResult!",
        "endSession": "EndSessionResult!",
        "changePassword": "ChangePasswordResult!",
        "changeEmail": "ChangeEmailResult!",
        "confirmEmailChange": "ConfirmEmailChangeResult!",
        "linkProvider": "LinkProviderResult!",
        "confirmProviderLink": "ConfirmProviderLinkResult!",
        "unlinkProvider": "UnlinkProviderResult!",
        "requestPasswordReset": "RequestPasswordResetResult!",
        "resetPassword": "ResetPasswordResult!",
        "enrolTotp": "EnrolTotpResult!",
        "confirmTotp": "ConfirmTotpResult!",
        "disableTotp": "DisableTotpResult!",
        "createApiKey": "CreateApiKeyResult!",
        "revokeApiKey": "RevokeApiKeyResult!",
        "createWorkspace": "CreateWorkspaceResult!",
        "updateWorkspace": "UpdateWorkspaceResult!",
        "deleteWorkspace": "DeleteWorkspaceResult!",
        "inviteMember": "InviteMemberResult!",
        "revokeInvitation": "RevokeInvitationResult!",
        "acceptInvitation": "AcceptInvitationResult!",
        "changeMemberRole": "ChangeMemberRoleResult!",
        "transferOwnership": "TransferOwnershipResult!",
        "removeMember": "RemoveMemberResult!",
        "leaveWorkspace": "LeaveWorkspaceResult!",
        "createGroup": "CreateGroupResult!",
        "updateGroup": "UpdateGroupResult!",
        "deleteGroup": "DeleteGroupResult!",
        "addGroupMember": "AddGroupMemberResult!",
        "removeGroupMember": "RemoveGroupMemberResult!",
        "shareResource": "ShareResourceResult!",
        "unshareResource": "UnshareResourceResult!",
        "setSecret": "SetSecretResult!",
        "deleteSecret": "DeleteSecretResult!",
        "exportMyData": "ExportMyDataResult!",
        "deleteMyAccount": "DeleteMyAccountResult!",
        "createConnector": "CreateConnectorResult!",
        "updateConnector": "UpdateConnectorResult!",
        "deleteConnector": "DeleteConnectorResult!",
        "startConnector": "StartConnectorResult!",
        "stopConnector": "StopConnectorResult!",
        "testConnector": "TestConnectorResult!",
        "replayQuarantine": "ReplayQuarantineResult!",
        "saveMessages": "SaveMessagesResult!",
    },
    "Subscription": {"messages": "MessageEvent!", "connectorStatus": "ConnectorStatus!"},
    "Message": {
        "id": "ID!",
        "connector": "Connector",
        "exchange": "String!",
        "instrument": "String!",
        "type": "MessageType!",
        "price": "Decimal",
        "quantity": "Decimal",
        "side": "Side",
        "sequence": "String",
        "eventTime": "DateTime",
        "receivedAt": "DateTime!",
        "data": "JSON!",
        "detail": "MessageDetail",
    },
    "MessageBatch": {
        "messages": "[Message!]!",
        "cursor": "Cursor!",
        "publishedAt": "DateTime!",
    },
    "Gap": {"after": "Cursor", "before": "Cursor!", "missed": "Int", "reason": "GapReason!"},
    "MessageFilter": {
        "connectorIds": "[ID!]",
        "exchanges": "[String!]",
        "instruments": "[String!]",
        "types": "[MessageType!]",
        "since": "DateTime",
        "until": "DateTime",
    },
    "Delivery": {"mode": "DeliveryMode!", "intervalMs": "Int"},
    "MessageConnection": {
        "edges": "[MessageEdge!]!",
        "pageInfo": "PageInfo!",
        "totalCount": "Long!",
        "cursor": "Cursor!",
    },
    "Error": {"message": "String!", "code": "ErrorCode!"},
}


@pytest.mark.parametrize(
    ("type", "field"), [(type, field) for type, fields in CONTRACT.items() for field in fields]
)
def test_the_contract_is_kept(type: str, field: str):
    assert str(TYPES[type].fields[field].type) == CONTRACT[type][field]


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        (
            ("Query", "messages"),
            {
                "filter": "MessageFilter",
                "first": "Int",
                "after": "String",
                "last": "Int",
                "before": "String",
                "order": "MessageOrder",
            },
        ),
        (("Query", "node"), {"id": "ID!"}),
        (
            ("Subscription", "messages"),
            {"filter": "MessageFilter", "after": "Cursor", "delivery": "Delivery"},
        ),
        (("Subscription", "connectorStatus"), {"connectorId": "ID"}),
    ],
)
def test_the_contracts_arguments_are_kept(field, arguments):
    args = TYPES[field[0]].fields[field[1]].args
    assert {name: str(argument.type) for name, argument in args.items()} == arguments


def test_a_page_of_messages_begins_with_the_newest():
    assert "order: MessageOrder = NEWEST_FIRST" in printed()


def test_the_members_of_the_event_union_are_the_contract():
    assert [type.name for type in TYPES["MessageEvent"].types] == ["MessageBatch", "Gap"]


@pytest.mark.parametrize("name", CONTRACT["Mutation"])
def test_a_mutation_takes_one_input_and_gives_a_union_of_a_result_and_errors(name: str):
    mutation = TYPES["Mutation"].fields[name]
    capital = name[0].upper() + name[1:]
    assert {argument: str(a.type) for argument, a in mutation.args.items()} == {
        "input": f"{capital}Input!"
    }
    union = mutation.type.of_type
    assert isinstance(union, GraphQLUnionType)
    result, *errors = union.types
    error = TYPES["Error"]
    assert error not in result.interfaces
    assert errors
    assert all(error in member.interfaces for member in errors)


def test_no_list_is_unbounded():
    """Lists of entities are connections; a plain list is part of one object."""
    plain = {
        "Connector.subscribeFrames",
        "Connector.secretFields",
        "ConnectorTest.messages",
        "BookDetail.bids",
        "BookDetail.asks",
        "MessageBatch.messages",
        "Storage.tables",
        "Storage.partitions",
        "Viewer.permissions",
        "RecoveryCodes.codes",
        "Account.providers",
        "ApiKey.permissions",
        "SoleOwner.workspaceIds",
        "Query.signInProviders",
        "Connector.secretReferences",
        "AuditEvent.changes",
        "SecretInUse.usedBy",
    }
    lists = {
        f"{type.name}.{name}"
        for type in OBJECTS
        for name, field in type.fields.items()
        if "[" in str(field.type) and name != "edges"
    }
    assert lists == plain


def test_every_list_takes_all_of_relays_arguments():
    relay = {"first", "after", "last", "before"}
    for type in OBJECTS:
        for name, field in type.fields.items():
            if str(field.type).rstrip("!").endswith("Connection"):
                assert relay <= set(field.args), f"{type.name}.{name}"


def views() -> list[Any]:
    definitions = [
        type.extensions.get("strawberry-definition") for type in OBJECTS if type.extensions
    ]
    return [d.origin for d in definitions if d and hasattr(d.origin, "__source__")]


@pytest.mark.parametrize("view", views(), ids=lambda view: view.__name__)
def test_every_field_without_a_resolver_exists_on_its_source(view):
    definition = get_object_definition(view)
    plain = {f.python_name for f in definition.fields if f.base_resolver is None}
    source = view.__source__
    known = set(typing.get_type_hints(source)) | set(dir(source))
    assert plain - {"message", "code"} <= known


def test_the_fields_of_a_message_are_plain_so_that_they_complete_fast():
    plain = {
        field.python_name
        for field in TYPES["Message"].extensions["strawberry-definition"].fields
        if field.is_basic_field
    }
    assert plain >= {
        "exchange",
        "instrument",
        "type",
        "price",
        "quantity",
        "side",
        "sequence",
        "event_time",
        "received_at",
        "data",
    }


def test_every_error_has_a_code_and_a_message_of_its_own_facts():
    errors = [d for d in views() if issubclass(d, Error)]
    assert {error.__code__ for error in errors} == set(ErrorCode)
    for error in errors:
        assert issubclass(error.__source__, DomainError)
        facts = {field.name: "x" for field in dataclasses.fields(error)}
        assert error.__says__.format(**facts)


def test_no_output_type_has_a_field_that_could_carry_a_secret():
    secret = {
        "apiKey",
        "apiSecret",
        "passphrase",
        "bearerToken",
        "password",
        "username",
        "headers",
        "queryParameters",
        "sealed",
        "secrets",
    }
    for type in OBJECTS:
        texts = {
            name for name, field in type.fields.items() if is_leaf_type(get_named_type(field.type))
        }
        assert not secret & texts, type.name
