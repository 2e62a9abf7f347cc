"""Signing in elsewhere, as clients see it."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain.identity import linking
from resolvers.identity import openid as resolvers
from schema.errors import (
    IdentityTaken,
    InvalidInput,
    OnlyWayIn,
    SecondFactorRequired,
    TokenInvalid,
    TooManyAttempts,
    WrongCode,
    WrongPassword,
    mutation,
)
from schema.types.identity.accounts import Account, Session
from schema.views import field, plain, view


@view(linking.ProviderLink, "A way to a provider, to link it with one's account.")
class ProviderLink:
    provider: str = plain("The provider's name.")
    token: str = plain(
        "What to go to `/auth/<provider>?link=<token>` with, in the same browser. It is good once."
    )
    expires_at: datetime = plain("When the token ends.")


ExchangeSignInCodeResult = Annotated[
    Session | TokenInvalid,
    strawberry.union("ExchangeSignInCodeResult", description="The session, or why there is none."),
]

LinkProviderResult = Annotated[
    ProviderLink
    | InvalidInput
    | WrongPassword
    | SecondFactorRequired
    | WrongCode
    | TooManyAttempts,
    strawberry.union("LinkProviderResult", description="The way there, or why there is none."),
]
ConfirmProviderLinkResult = Annotated[
    Account | TokenInvalid | IdentityTaken | InvalidInput,
    strawberry.union(
        "ConfirmProviderLinkResult", description="The account, or why it was not linked."
    ),
]
UnlinkProviderResult = Annotated[
    Account | InvalidInput | OnlyWayIn,
    strawberry.union(
        "UnlinkProviderResult", description="The account, or why it is linked as it was."
    ),
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
    link_provider: LinkProviderResult = mutation(
        resolvers.link,
        "Begin to link an OpenID provider with one's account; the way there and back ends with a code for"
        " `confirmProviderLink`.",
    )
    confirm_provider_link: ConfirmProviderLinkResult = mutation(
        resolvers.confirm_link, "Link whom the provider named, so that they can sign in with it."
    )
    unlink_provider: UnlinkProviderResult = mutation(
        resolvers.unlink, "Sign in with a provider no longer. The only way in stays."
    )
