"""Signing in elsewhere, as clients see it."""

from typing import Annotated

import strawberry

from resolvers.identity import openid as resolvers
from schema.errors import TokenInvalid, mutation
from schema.types.identity.accounts import Session
from schema.views import field

ExchangeSignInCodeResult = Annotated[
    Session | TokenInvalid,
    strawberry.union("ExchangeSignInCodeResult", description="The session, or why there is none."),
]


@strawberry.type
class OpenIdQuery:
    sign_in_providers: list[str] = field(
        resolvers.providers,
        "Names of the OpenID providers one can sign in with, at `/auth/<name>`. Open to everybody.",
    )


@strawberry.type
class OpenIdMutation:
    exchange_sign_in_code: ExchangeSignInCodeResult = mutation(
        resolvers.exchange_code,
        "Begin the session that a sign-in with a provider ended with. Open to everybody.",
    )
