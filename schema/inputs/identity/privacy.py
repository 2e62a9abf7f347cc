"""What clients send about the end of an account."""

import strawberry


@strawberry.input(description="What to gather.")
class ExportMyDataInput:
    """Parts of an export."""

    parts: list[str] | None = strawberry.field(
        default=None, description="Only these parts, such as `sessions`; null: all."
    )


@strawberry.input(description="Who asks for their account's end, proving it once more.")
class DeleteMyAccountInput:
    """A proof."""

    password: str | None = strawberry.field(
        default=None, description="Your password; null for an account that has none."
    )
    code: str | None = strawberry.field(
        default=None,
        description="A code of your second factor, or a recovery code, if your account has one.",
    )


@strawberry.input(description="The confirmation that was mailed.")
class ConfirmAccountDeletionInput:
    """A mailed token."""

    token: str = strawberry.field(description="The token in the mail; good for an hour.")
