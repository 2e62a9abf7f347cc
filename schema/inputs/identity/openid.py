"""What clients send after an OpenID provider signed somebody in."""

import strawberry


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
