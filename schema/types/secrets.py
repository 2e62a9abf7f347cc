"""Named secrets as clients see them: everything but their values."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from strawberry import relay

from domain import secrets
from resolvers import secrets as resolvers
from schema.errors import (
    InvalidInput,
    SecretInUse,
    SecretLimitReached,
    SecretNotFound,
    StaleVersion,
    mutation,
)
from schema.types.connectors import Connector
from schema.views import Connection, field, plain, view, watched

if TYPE_CHECKING:
    from schema.types.identity.accounts import User

_ACCOUNTS = strawberry.lazy("schema.types.identity.accounts")


@view(secrets.Secret, "A named value that connectors refer to. The value itself never comes back.")
class Secret(relay.Node):
    id: relay.NodeID[UUID]
    name: str = plain("Its name, unique in the workspace.")
    masked: str = plain(
        "What may be shown: of a long random key its last four characters, of anything else nothing."
    )
    version: int = plain("How often it was set; for `expectedVersion`.")
    created_by: Annotated["User", _ACCOUNTS] | None = field(
        resolvers.created_by, "Who made it; null when a program did, or somebody who is gone."
    )
    updated_by: Annotated["User", _ACCOUNTS] | None = field(
        resolvers.updated_by, "Who set it last; null when a program did, or somebody who is gone."
    )
    created_at: datetime = plain("When it was made.")
    updated_at: datetime = plain("When it was set last.")
    last_used_at: datetime | None = plain(
        "When a connector that uses it was last started or tested; null: never."
    )
    connectors: Connection[Connector] = field(
        resolvers.connectors_of, "The connectors that refer to it, oldest first."
    )


@view(secrets.DeletedSecret, "A secret that is gone.")
class DeletedSecret:
    id: strawberry.ID = field(resolvers.secret_id_of, "The id it had.")
    name: str = plain("The name it had.")


SetSecretResult = Annotated[
    Secret | InvalidInput | StaleVersion | SecretLimitReached,
    strawberry.union("SetSecretResult", description="The secret, or why it was not set."),
]
DeleteSecretResult = Annotated[
    DeletedSecret | SecretNotFound | SecretInUse,
    strawberry.union(
        "DeleteSecretResult", description="The deleted secret, or why it was not deleted."
    ),
]


@strawberry.type
class SecretQuery:
    secrets: Connection[Secret] = watched(
        resolvers.page, "The secrets that you may use or manage, oldest first."
    )


@strawberry.type
class SecretMutation:
    set_secret: SetSecretResult = mutation(
        resolvers.set_secret,
        "Make a named secret, or give it another value; connectors that use it reconnect with it.",
    )
    delete_secret: DeleteSecretResult = mutation(
        resolvers.delete, "Delete a named secret that nothing uses any more."
    )
