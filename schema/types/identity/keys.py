"""API keys as clients see them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from strawberry import relay

from domain import identity
from resolvers.identity import keys as resolvers
from schema.errors import (
    ApiKeyLimitReached,
    ApiKeyNotFound,
    InvalidInput,
    WorkspaceNotFound,
    mutation,
)
from schema.views import field, plain, view

if TYPE_CHECKING:
    from schema.types.identity.accounts import User

_ACCOUNTS = strawberry.lazy("schema.types.identity.accounts")


@view(identity.ApiKey, "A program's key to one workspace, for some permissions alone.")
class ApiKey(relay.Node):
    id: relay.NodeID[UUID]
    name: str = plain("What it is for.")
    prefix: str = plain("What the key shows of itself after `penstock_`, to tell it from others.")
    permissions: list[identity.Permission] = field(resolvers.permissions_of, "What it may do.")
    created_by: Annotated["User", _ACCOUNTS] | None = field(
        resolvers.creator_of, "Who made it; null when they are no longer in the workspace."
    )
    created_at: datetime = plain("When it was made.")
    expires_at: datetime | None = plain("When it ends; null: when it is revoked.")
    last_used_at: datetime | None = plain("When it was last used, to the minute; null: never.")
    revoked_at: datetime | None = plain("When it was revoked; null: not.")


@view(identity.CreatedApiKey, "A new API key with its text.")
class CreatedApiKey:
    api_key: ApiKey = plain("The key as it is listed.")
    key: str = plain("The key itself, for `Authorization: Bearer`. It is shown this once.")


CreateApiKeyResult = Annotated[
    CreatedApiKey | InvalidInput | WorkspaceNotFound | ApiKeyLimitReached,
    strawberry.union("CreateApiKeyResult", description="The new key, or why there is none."),
]
RevokeApiKeyResult = Annotated[
    ApiKey | ApiKeyNotFound,
    strawberry.union("RevokeApiKeyResult", description="The revoked key, or why it was not."),
]


@strawberry.type
class ApiKeyMutation:
    create_api_key: CreateApiKeyResult = mutation(
        resolvers.create, "Make an API key for a program; its text is shown this once."
    )
    revoke_api_key: RevokeApiKeyResult = mutation(
        resolvers.revoke, "End an API key for good, and whatever is open with it."
    )
