"""The one assembled schema."""

from collections.abc import Mapping

import strawberry
from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    Undefined,
)
from strawberry import relay
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from resolvers import nodes
from schema.scalars import scalar_map
from schema.types.audit import AuditQuery
from schema.types.connectors import ConnectorMutation, ConnectorQuery, ConnectorSubscription
from schema.types.identity.accounts import AccountMutation, AccountQuery
from schema.types.identity.groups import GroupMutation
from schema.types.identity.keys import ApiKeyMutation
from schema.types.identity.openid import OpenIdMutation, OpenIdQuery
from schema.types.identity.privacy import PrivacyMutation
from schema.types.identity.workspaces import WorkspaceMutation, WorkspaceQuery
from schema.types.messages import MessageMutation, MessageQuery, MessageSubscription
from schema.types.secrets import SecretMutation, SecretQuery
from schema.types.storage import StorageQuery
from schema.views import field


@strawberry.type
class NodeQuery:
    """Refetching by id."""

    node: relay.Node | None = field(
        nodes.node, "The object with this global id; null when there is none."
    )


def _described(root: type, description: str) -> type:
    root.__strawberry_definition__.description = description  # type: ignore[attr-defined]
    return root


_QUERIES = (
    NodeQuery,
    AccountQuery,
    OpenIdQuery,
    WorkspaceQuery,
    SecretQuery,
    AuditQuery,
    ConnectorQuery,
    MessageQuery,
    StorageQuery,
)
_MUTATIONS = (
    AccountMutation,
    OpenIdMutation,
    PrivacyMutation,
    WorkspaceMutation,
    GroupMutation,
    ApiKeyMutation,
    SecretMutation,
    ConnectorMutation,
    MessageMutation,
)

schema = strawberry.Schema(
    query=_described(merge_types("Query", _QUERIES), "What can be asked."),
    mutation=_described(
        merge_types("Mutation", _MUTATIONS),
        "What can be changed. Each result is the changed object or a typed error.",
    ),
    subscription=_described(
        merge_types("Subscription", (MessageSubscription, ConnectorSubscription)),
        "What can be followed live.",
    ),
    config=StrawberryConfig(scalar_map=scalar_map()),
)


def _without_null_defaults(types: Mapping[str, GraphQLNamedType]) -> None:
    """Take `= null` from arguments and input fields that may be left out: it tells a client nothing."""
    for type in types.values():
        if isinstance(type, GraphQLInputObjectType):
            slots: list[GraphQLArgument | GraphQLInputField] = [*type.fields.values()]
        elif isinstance(type, GraphQLObjectType | GraphQLInterfaceType):
            slots = [slot for field in type.fields.values() for slot in field.args.values()]
        else:
            continue
        for slot in slots:
            if slot.default_value is None:
                slot.default_value = Undefined


_without_null_defaults(schema._schema.type_map)  # noqa: SLF001 - before anybody sees the schema
