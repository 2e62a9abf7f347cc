"""Signing in elsewhere, and where an account can."""

from typing import Annotated

import strawberry

from domain.identity import User, linking, openid
from domain.identity.linking import LinkedProvider, ProviderLink
from domain.identity.sessions import SignedIn
from resolvers.context import Info
from resolvers.identity.scope import user_of
from schema.inputs.identity.openid import (
    ConfirmProviderLinkInput,
    ExchangeSignInCodeInput,
    LinkProviderInput,
    UnlinkProviderInput,
)


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


async def linked(root: strawberry.Parent[User], info: Info) -> list[LinkedProvider]:
    """The providers that an account is linked with."""
    async with info.context.database.read() as session:
        return await linking.linked_providers(session, root.id)


async def link(
    info: Info,
    input: Annotated[LinkProviderInput, strawberry.argument(description="Where, and proof.")],
) -> ProviderLink:
    """Let the user leave to link a provider."""
    context = info.context
    return await linking.begin_link(
        context.accounts,
        context.services.door,
        user_of(context.viewer),
        input.provider,
        context.services.sign_in_providers,
        password=input.password,
        code=input.totp,
    )


async def confirm_link(
    info: Info,
    input: Annotated[
        ConfirmProviderLinkInput, strawberry.argument(description="What the way back gave.")
    ],
) -> User:
    """Link who came back."""
    context = info.context
    return await linking.confirm_link(
        context.accounts,
        context.services.door,
        context.caller,
        user_of(context.viewer),
        input.code,
    )


async def unlink(
    info: Info,
    input: Annotated[UnlinkProviderInput, strawberry.argument(description="Which to forget.")],
) -> User:
    """Forget a provider."""
    context = info.context
    return await linking.unlink(
        context.accounts,
        context.services.door,
        context.caller,
        user_of(context.viewer),
        input.provider,
        context.services.sign_in_providers,
    )
