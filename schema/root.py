"""The one assembled schema."""

import strawberry
from strawberry import relay
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from resolvers import nodes
from schema.scalars import scalar_map
from schema.types.connectors import ConnectorMutation, ConnectorQuery, ConnectorSubscription
from schema.types.messages import MessageMutation, MessageQuery, MessageSubscription
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


schema = strawberry.Schema(
    query=_described(
        merge_types("Query", (NodeQuery, ConnectorQuery, MessageQuery, StorageQuery)),
        "What can be asked.",
    ),
    mutation=_described(
        merge_types("Mutation", (ConnectorMutation, MessageMutation)),
        "What can be changed. Each result is the changed object or a typed error.",
    ),
    subscription=_described(
        merge_types("Subscription", (MessageSubscription, ConnectorSubscription)),
        "What can be followed live.",
    ),
    config=StrawberryConfig(scalar_map=scalar_map()),
)
