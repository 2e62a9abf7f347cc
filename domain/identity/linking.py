"""An account's identities at OpenID providers: linked in three steps, so that nobody links a stranger's; unlinked.

The signed-in user gets a token to leave with (`begin_link`, `leave`); the way back ends with a code for who the
provider says it was (`code_for`), which only the same user can use (`confirm_link`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import InvalidInput
from domain.identity import mails, one_time
from domain.identity.accounts import ExternalIdentity, OneTimePurpose, User
from domain.identity.denials import IdentityTaken, OnlyWayIn, TokenInvalid
from domain.identity.door import Door
from domain.identity.openid import ProvenIdentity
from domain.identity.passwords import held_credential, reauthenticate
from domain.identity.viewer import Caller
from domain.ports import Database

LEAVE_LIFETIME: Final = timedelta(minutes=5)
CODE_LIFETIME: Final = timedelta(minutes=5)
_NOTICE: Final = "The list of providers to sign in with"


@dataclass(frozen=True, slots=True)
class LinkedProvider:
    """An identity of an account, by its provider's name."""

    name: str
    linked_at: datetime
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderLink:
    """A token to go to a provider with, once."""

    provider: str
    token: str
    expires_at: datetime


async def linked_providers(session: AsyncSession, user_id: UUID) -> list[LinkedProvider]:
    """Where a user can sign in beside here, the first linked first."""
    return [
        LinkedProvider(identity.provider, identity.created_at, identity.last_used_at)
        for identity in await _identities(session, user_id)
    ]


async def begin_link(
    database: Database,
    door: Door,
    user_id: UUID,
    provider: str,
    offered: Collection[str],
    *,
    password: str,
    code: str | None,
) -> ProviderLink:
    """A token to leave with, for who proves to be the user: a stolen session must not become a way in for good.

    Raises InvalidInput, also for a provider that is linked already, and what proving oneself raises.
    """
    if provider not in offered:
        raise InvalidInput(field="provider", reason="is none of `signInProviders`")
    await reauthenticate(database, door, user_id, password=password, code=code, code_needed=True)
    now, purpose = door.clock.now(), OneTimePurpose.LINK_PROVIDER
    async with database.write() as session:
        _refuse_second(
            await _identities(session, user_id), provider, "provider", "is linked already"
        )
        await one_time.void(session, user_id, purpose, now)
        facts = {"provider": provider}
        token = await one_time.give_token(session, door, user_id, purpose, LEAVE_LIFETIME, facts)
    return ProviderLink(provider, token, now + LEAVE_LIFETIME)


async def leave(session: AsyncSession, token: str, provider: str, now: datetime) -> UUID:
    """Use the token to go to its provider; the user. Raises TokenInvalid."""
    found = await one_time.redeem(session, token, OneTimePurpose.LINK_PROVIDER, now)
    if found.facts["provider"] != provider:
        raise TokenInvalid
    return found.user_id


async def code_for(session: AsyncSession, door: Door, user_id: UUID, proven: ProvenIdentity) -> str:
    """A code with which the user, and nobody else, links who came back."""
    facts = {"provider": proven.provider, "issuer": proven.issuer, "subject": proven.subject}
    purpose = OneTimePurpose.CONFIRM_LINK
    await one_time.void(session, user_id, purpose, door.clock.now())
    return await one_time.give_token(session, door, user_id, purpose, CODE_LIFETIME, facts)


async def confirm_link(
    database: Database, door: Door, caller: Caller, user_id: UUID, code: str
) -> User:
    """Link whom the code stands for; raises TokenInvalid, IdentityTaken, InvalidInput."""
    now = door.clock.now()
    async with database.write() as session:
        found = await one_time.redeem(session, code, OneTimePurpose.CONFIRM_LINK, now)
        if found.user_id != user_id:
            raise TokenInvalid
        await held_credential(session, user_id)
        user, facts = await session.get_one(User, user_id), found.facts
        reason = "is of a provider that is linked already"
        _refuse_second(await _identities(session, user_id), facts["provider"], "code", reason)
        session.add(
            ExternalIdentity(
                id=door.ids.new(),
                user_id=user_id,
                created_at=now,
                last_used_at=now,
                **facts,
            )
        )
        try:
            await session.flush()
        except IntegrityError:
            raise IdentityTaken from None
    door.post.send(mails.notice(user.email, _NOTICE), caller.request_id)
    return user


async def unlink(
    database: Database,
    door: Door,
    caller: Caller,
    user_id: UUID,
    provider: str,
    offered: Collection[str],
) -> User:
    """Forget a user's identity at a provider; raises InvalidInput, and OnlyWayIn where nothing else lets them in."""
    async with database.write() as session:
        credential = await held_credential(session, user_id)  # of two at once one waits
        user, identities = await session.get_one(User, user_id), await _identities(session, user_id)
        gone = [identity for identity in identities if identity.provider == provider]
        if not gone:
            raise InvalidInput(field="provider", reason="is not linked")
        others = {identity.provider for identity in identities} - {provider}
        if credential.password_hash is None and not others & set(offered):
            raise OnlyWayIn
        for identity in gone:
            await session.delete(identity)
    door.post.send(mails.notice(user.email, _NOTICE), caller.request_id)
    return user


async def _identities(session: AsyncSession, user_id: UUID) -> list[ExternalIdentity]:
    statement = select(ExternalIdentity).where(col(ExternalIdentity.user_id) == user_id)
    order = (col(ExternalIdentity.created_at), col(ExternalIdentity.id))
    return list(await session.exec(statement.order_by(*order)))


def _refuse_second(
    identities: list[ExternalIdentity], provider: str, field: str, reason: str
) -> None:
    if any(identity.provider == provider for identity in identities):
        raise InvalidInput(field=field, reason=reason)
