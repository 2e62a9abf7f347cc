"""What clients send about the end of an account."""

import strawberry

from schema.inputs.identity.accounts import PASSWORD, TOTP


@strawberry.input(description="What to gather.")
class ExportMyDataInput:
    """Parts of an export."""

    parts: list[str] | None = strawberry.field(
        default=None, description="Only these parts, such as `sessions`; null: all."
    )


@strawberry.input(description="Who asks for their account's end, proving it once more.")
class DeleteMyAccountInput:
    """A proof."""

    password: str | None = strawberry.field(default=None, description=PASSWORD)
    totp: str | None = strawberry.field(
        default=None, description=TOTP + " Needed where the second factor is on."
    )


@strawberry.input(description="The confirmation that was mailed.")
class ConfirmAccountDeletionInput:
    """A mailed token."""

    token: str = strawberry.field(description="The token in the mail; good for an hour.")
