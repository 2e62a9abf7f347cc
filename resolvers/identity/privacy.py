"""A person's own data: all of it for them, and its end."""

from typing import Annotated

import strawberry

from domain.identity import deletion, privacy
from domain.identity.deletion import AccountDeletion
from domain.identity.privacy import PersonalData
from resolvers.context import Info
from resolvers.identity.scope import owned_as_given, user_of
from schema.inputs.identity.privacy import (
    ConfirmAccountDeletionInput,
    DeleteMyAccountInput,
    ExportMyDataInput,
)


async def export(
    info: Info,
    input: Annotated[ExportMyDataInput, strawberry.argument(description="What to gather.")],
) -> PersonalData:
    """All of the user's data, or parts of it; raises Forbidden for an API key, InvalidInput."""
    context = info.context
    user_id, now = user_of(context.viewer), context.services.clock.now()
    return await privacy.export(context.accounts, context.database, user_id, now, input.parts)


async def request_deletion(
    info: Info,
    input: Annotated[DeleteMyAccountInput, strawberry.argument(description="The proof.")],
) -> AccountDeletion:
    """Have a confirmation mailed, after the user proved who they are."""
    context = info.context
    user_id = user_of(context.viewer)
    with owned_as_given():
        return await deletion.request_deletion(
            context.accounts,
            context.services.door,
            context.caller,
            user_id,
            password=input.password,
            code=input.totp,
        )


async def confirm_deletion(
    info: Info,
    input: Annotated[
        ConfirmAccountDeletionInput, strawberry.argument(description="The confirmation.")
    ],
) -> AccountDeletion:
    """Have the account end after its days of grace."""
    context = info.context
    viewer = context.viewer
    with owned_as_given():
        return await deletion.confirm_deletion(
            context.accounts,
            context.services.door,
            context.caller,
            user_of(viewer),
            input.token,
            viewer.session_id,
        )


async def cancel_deletion(info: Info) -> AccountDeletion:
    """Keep the account after all."""
    context = info.context
    user_id = user_of(context.viewer)
    async with context.accounts.write() as session:
        return await deletion.cancel_deletion(session, user_id, context.services.clock.now())
