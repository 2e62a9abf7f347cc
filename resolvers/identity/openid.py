"""Signing in elsewhere."""

from typing import Annotated

import strawberry

from domain.identity import openid
from domain.identity.sessions import SignedIn
from resolvers.context import Info
from schema.inputs.identity.openid import ExchangeSignInCodeInput


def providers(info: Info) -> list[str]:
    """Where one can sign in, in the operator's order."""
    return list(info.context.services.sign_in_providers)


async def exchange_code(
    info: Info,
    input: Annotated[
        ExchangeSignInCodeInput, strawberry.argument(description="What the sign-in gave.")
    ],
) -> SignedIn:
    """Begin the session that a sign-in elsewhere ended with."""
    context = info.context
    async with context.accounts.write() as session:
        return await openid.exchange(
            session, context.services.door, input.code, input.verifier, context.caller
        )
