"""What clients send about their accounts."""

import strawberry

EMAIL = "The e-mail address, at most 254 characters; in any case of letters."
NEW_PASSWORD = "The new password: 10 to 128 characters, no common one, not the address or the name."  # noqa: S105
PASSWORD = "The account's password; null for an account that has none."  # noqa: S105 - a description
TOTP = "The six digits that the authenticator app shows, or a recovery code."
NAME = "What one is called: at most 200 characters, trimmed."
TIME_ZONE = "The IANA time zone, such as Europe/Lisbon."


@strawberry.input(description="Somebody who wants an account.")
class RegisterInput:
    """A new user."""

    email: str = strawberry.field(description=EMAIL)
    password: str = strawberry.field(description=NEW_PASSWORD)
    name: str = strawberry.field(default="", description=NAME)
    time_zone: str = strawberry.field(default="UTC", description=TIME_ZONE)


@strawberry.input(description="Proof that an e-mail address is one's own.")
class VerifyEmailInput:
    """A mailed token."""

    token: str = strawberry.field(description="The token of the mail.")


@strawberry.input(description="Whom to send the mail for verification again.")
class ResendVerificationInput:
    """An address."""

    email: str = strawberry.field(description=EMAIL)


@strawberry.input(description="How somebody proves who they are.")
class SignInInput:
    """Both factors."""

    email: str = strawberry.field(description=EMAIL)
    password: str = strawberry.field(description="The password.")
    totp: str | None = strawberry.field(
        default=None, description=TOTP + " Needed where the second factor is on."
    )


@strawberry.input(description="Which session to continue.")
class RefreshSessionInput:
    """A token that is good once."""

    refresh_token: str = strawberry.field(
        description="The last refresh token. It is good once: using it again ends the session."
    )


@strawberry.input(description="Which sessions to end.")
class SignOutInput:
    """This one, or all."""

    everywhere: bool = strawberry.field(
        default=False, description="End all sessions of the account, not only this one."
    )


@strawberry.input(description="Which session to end.")
class EndSessionInput:
    """One of one's sessions."""

    id: strawberry.ID = strawberry.field(description="The session's id.")


@strawberry.input(description="A new password for the old.")
class ChangePasswordInput:
    """Both passwords."""

    old_password: str | None = strawberry.field(
        default=None,
        description="The account's password. One that has none gets it by `requestPasswordReset`.",
    )
    new_password: str = strawberry.field(description=NEW_PASSWORD)


@strawberry.input(description="Whose password was forgotten.")
class RequestPasswordResetInput:
    """An address."""

    email: str = strawberry.field(description=EMAIL)


@strawberry.input(description="A new password, by the token of a mail.")
class ResetPasswordInput:
    """A mailed token and what it is for."""

    token: str = strawberry.field(description="The token of the mail, good once and for 1 hour.")
    password: str = strawberry.field(description=NEW_PASSWORD)


@strawberry.input(description="Changes to one's own account: what is not given stays as it is.")
class UpdateAccountInput:
    """A partial change."""

    name: strawberry.Maybe[str] = strawberry.field(description=NAME)
    time_zone: strawberry.Maybe[str] = strawberry.field(description=TIME_ZONE)


@strawberry.input(description="Another e-mail address for the account, and proof of who wants it.")
class ChangeEmailInput:
    """An address and both factors."""

    email: str = strawberry.field(description=EMAIL)
    password: str = strawberry.field(
        description="The account's password. An account that has none gets it by `requestPasswordReset`."
    )
    totp: str | None = strawberry.field(
        default=None, description=TOTP + " Needed where the second factor is on."
    )


@strawberry.input(description="Proof that the new e-mail address is one's own.")
class ConfirmEmailChangeInput:
    """A mailed token."""

    token: str = strawberry.field(description="The token of the mail, good once and for 1 hour.")


@strawberry.input(description="Proof of who closes the account.")
class DeactivateAccountInput:
    """Both factors."""

    password: str | None = strawberry.field(default=None, description=PASSWORD)
    totp: str | None = strawberry.field(
        default=None, description=TOTP + " Needed where the second factor is on."
    )


@strawberry.input(description="Proof of who wants a second factor.")
class EnrolTotpInput:
    """The first factor."""

    password: str | None = strawberry.field(default=None, description=PASSWORD)


@strawberry.input(description="Proof that the authenticator app has the secret.")
class ConfirmTotpInput:
    """The first code."""

    totp: str = strawberry.field(description="The six digits that the authenticator app shows.")


@strawberry.input(description="Proof of who turns the second factor off.")
class DisableTotpInput:
    """Both factors."""

    password: str | None = strawberry.field(default=None, description=PASSWORD)
    totp: str = strawberry.field(description=TOTP)


@strawberry.input(description="Proof of who wants new recovery codes.")
class RenewRecoveryCodesInput:
    """Both factors."""

    password: str | None = strawberry.field(default=None, description=PASSWORD)
    totp: str = strawberry.field(description=TOTP)
