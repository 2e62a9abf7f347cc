"""What clients send about secrets."""

import strawberry

NAME = (
    "The secret's name, unique in the workspace: a letter, then at most 99 letters, digits, dots, underscores or "
    "hyphens. Upper and lower case differ."
)


@strawberry.input(description="A secret as it shall be: made, or given another value.")
class SetSecretInput:
    """A name and a value."""

    name: str = strawberry.field(description=NAME)
    value: str = strawberry.field(description="The value: 1 to 65,536 bytes. Write-only.")
    expected_version: int | None = strawberry.field(
        default=None,
        description="Refuse with `StaleVersion` unless the secret has this version; 0: unless it is new.",
    )


@strawberry.input(description="Which secret to delete.")
class DeleteSecretInput:
    """A secret to forget."""

    name: str = strawberry.field(description="The secret's name.")
    force: bool = strawberry.field(
        default=False,
        description="Also when connectors use it: those stop with an error until they are given another.",
    )
