"""What clients send about API keys."""

from datetime import datetime

import strawberry

from domain.identity import Permission


@strawberry.input(description="A key as it shall be.")
class CreateApiKeyInput:
    """All of a key."""

    workspace_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The workspace it is for; null: the one the request acts in.",
    )
    name: str = strawberry.field(description="What it is for: 1 to 200 characters, trimmed.")
    permissions: list[Permission] = strawberry.field(
        description="What it may do: READ_DATA and any others that one has oneself, but never OWN_WORKSPACE, "
        "MANAGE_MEMBERS or MANAGE_API_KEYS."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it ends, in the future; null: when it is revoked."
    )


@strawberry.input(description="Which key to revoke.")
class RevokeApiKeyInput:
    """A key to end."""

    id: strawberry.ID = strawberry.field(description="The key's id.")
