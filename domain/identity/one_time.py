"""Tokens that are good once: mailed ones, and those handed over after a sign-in elsewhere."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from domain.identity.accounts import OneTimePurpose, OneTimeToken
from domain.identity.denials import TokenInvalid
from domain.identity.door import Door
from domain.identity.tokens import token_hash

MAILS_AN_HOUR: Final = 5
"""How many tokens of one purpose a user is sent: nobody's mailbox is flooded on a stranger's request."""


async def give_token(
    session: AsyncSession,
    door: Door,
    user_id: UUID,
    purpose: OneTimePurpose,
    lifetime: timedelta,
    facts: Mapping[str, Any] | None = None,
) -> str:
    """A fresh token; only its hash is kept."""
    token, now = door.opaque.new(), door.clock.now()
    session.add(
        OneTimeToken(
            id=door.ids.new(),
            user_id=user_id,
            purpose=purpose,
            token_hash=token_hash(token),
            facts=dict(facts or {}),
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    return token


async def redeem(
    session: AsyncSession, token: str, purpose: OneTimePurpose, now: datetime
) -> OneTimeToken:
    """Use a token, and with it all others of its user and purpose; raises TokenInvalid."""
    found = await session.scalar(_good(token, purpose, now).with_for_update())
    if found is None:
        raise TokenInvalid
    await void(session, found.user_id, purpose, now)
    return found


async def peek(
    session: AsyncSession, token: str, purpose: OneTimePurpose, now: datetime
) -> OneTimeToken:
    """A good token, left unused; raises TokenInvalid."""
    found = await session.scalar(_good(token, purpose, now))
    if found is None:
        raise TokenInvalid
    return found


async def void(
    session: AsyncSession, user_id: UUID, purpose: OneTimePurpose, now: datetime
) -> None:
    """Make all of a user's tokens for a purpose worthless."""
    await session.exec(
        update(OneTimeToken)
        .where(
            col(OneTimeToken.user_id) == user_id,
            col(OneTimeToken.purpose) == purpose,
            col(OneTimeToken.used_at).is_(None),
        )
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )


async def void_all(session: AsyncSession, user_id: UUID, now: datetime) -> None:
    """Make every token that a user holds worthless, whatever it is for."""
    await session.exec(
        update(OneTimeToken)
        .where(col(OneTimeToken.user_id) == user_id, col(OneTimeToken.used_at).is_(None))
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )


async def newest(
    session: AsyncSession, user_id: UUID, purpose: OneTimePurpose
) -> OneTimeToken | None:
    """The last unused token that a user was given for a purpose."""
    return await session.scalar(
        select(OneTimeToken)
        .where(
            col(OneTimeToken.user_id) == user_id,
            col(OneTimeToken.purpose) == purpose,
            col(OneTimeToken.used_at).is_(None),
        )
        .order_by(col(OneTimeToken.created_at).desc(), col(OneTimeToken.id).desc())
        .limit(1)
    )


async def too_many(
    session: AsyncSession, user_id: UUID, purpose: OneTimePurpose, now: datetime
) -> bool:
    """Whether a user was sent as many tokens within the hour as anybody is."""
    statement = (
        select(func.count())
        .select_from(OneTimeToken)
        .where(
            col(OneTimeToken.user_id) == user_id,
            col(OneTimeToken.purpose) == purpose,
            col(OneTimeToken.created_at) > now - timedelta(hours=1),
        )
    )
    return (await session.scalar(statement) or 0) >= MAILS_AN_HOUR


def _good(token: str, purpose: OneTimePurpose, now: datetime) -> SelectOfScalar[OneTimeToken]:
    return select(OneTimeToken).where(
        col(OneTimeToken.token_hash) == token_hash(token),
        col(OneTimeToken.purpose) == purpose,
        col(OneTimeToken.used_at).is_(None),
        col(OneTimeToken.expires_at) > now,
    )
