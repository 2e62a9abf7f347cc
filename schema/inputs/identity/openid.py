"""What clients send after an OpenID provider signed somebody in."""

import strawberry

from schema.inputs.identity.accounts import TOTP

PROVIDER = "The provider's name, one of `signInProviders`."


@strawberry.input(description="A code from the end of a sign-in elsewhere.")
class ExchangeSignInCodeInput:
    """A code, and proof of who began."""

    code: str = strawberry.field(
        description="The code in the fragment of the page that the sign-in ended at. It is good once, for a minute."
    )
    verifier: str | None = strawberry.field(
        default=None,
        description="The text whose S256 was the sign-in's `challenge` (RFC 7636). Needed for every code but that of the demo's own page.",
    )


@strawberry.input(
    description="Which provider to link with one's account, and proof of who wants it."
)
class LinkProviderInput:
    """A provider and both factors."""

    provider: str = strawberry.field(description=PROVIDER)
    password: str = strawberry.field(
        description="The account's password. An account that has none gets it by `requestPasswordReset`."
    )
    totp: str | None = strawberry.field(
        default=None, description=TOTP + " Needed where the second factor is on."
    )


@strawberry.input(description="A code from the way back of `linkProvider`.")
class ConfirmProviderLinkInput:
    """A code."""

    code: str = strawberry.field(
        description="The code in the fragment of the page that the way back ended at. It is good once, for 5 minutes,"
        " and for the user who began alone."
    )


@strawberry.input(description="Which provider to sign in with no longer.")
class UnlinkProviderInput:
    """A provider."""

    provider: str = strawberry.field(
        description="The provider's name, as in `viewer.account.providers`."
    )
