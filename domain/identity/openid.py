"""Signing in at an OpenID provider: whose account it is, and the code that hands the session over."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain import audit
from domain.audit import Deed
from domain.errors import DomainError, InvalidInput
from domain.identity import registration
from domain.identity.accounts import (
    ExternalIdentity,
    OneTimePurpose,
    OneTimeToken,
    SignInMethod,
    User,
    UserStatus,
)
from domain.identity.denials import TokenInvalid
from domain.identity.door import Door
from domain.identity.one_time import give_token
from domain.identity.sessions import SignedIn, begin_session
from domain.identity.tokens import token_hash
from domain.identity.viewer import Caller

CODE_LIFETIME: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ProvenIdentity:
    """Who a provider says it is: the claims of an ID token that was checked."""

    provider: str
    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    name: str


class Refusal(Enum):
    """Why a provider's word is not enough."""

    EMAIL_UNVERIFIED = "email_unverified"
    ACCOUNT_UNVERIFIED = "account_unverified"
    ACCOUNT_PROTECTED = "account_protected"
    ACCOUNT_INACTIVE = "account_inactive"
    REGISTRATION_CLOSED = "registration_closed"


@dataclass(eq=False)
class SignInRefused(DomainError):
    """The person is known to the provider, and may not sign in here all the same."""

    refusal: Refusal


async def admit(session: AsyncSession, door: Door, proven: ProvenIdentity) -> User:
    """The user whose identity this is, made or linked when it is new here; raises SignInRefused.

    A known issuer and subject decide alone. An account is linked by e-mail only when the provider and this service
    have both verified the address and no second factor protects the account: else whoever holds the mailbox, or
    registered the address before its owner did, would get in.
    """
    now = door.clock.now()
    known = await session.scalar(
        select(ExternalIdentity).where(
            col(ExternalIdentity.issuer) == proven.issuer,
            col(ExternalIdentity.subject) == proven.subject,
        )
    )
    if known is not None:
        known.last_used_at = now
        return _active(await session.get(User, known.user_id))
    user = await _by_email(session, door, proven, now)
    session.add(
        ExternalIdentity(
            id=door.ids.new(),
            user_id=user.id,
            provider=proven.provider,
            issuer=proven.issuer,
            subject=proven.subject,
            created_at=now,
            last_used_at=now,
        )
    )
    audit.record(session, Deed("linkIdentity", subject_type="User", subject_id=str(user.id)))
    return user


async def code_for(
    session: AsyncSession,
    door: Door,
    user: User,
    method: SignInMethod,
    challenge: str | None = None,
) -> str:
    """A code that `exchange` turns into a session once, within a minute.

    With a challenge (S256 of RFC 7636) only whoever knows the verifier can use it; without one, only who has none:
    a client that left with a verifier takes no code that somebody else planted.
    """
    facts = {"method": method.value, "challenge": challenge}
    return await give_token(session, door, user.id, OneTimePurpose.SIGN_IN, CODE_LIFETIME, facts)


async def exchange(
    session: AsyncSession, door: Door, code: str, verifier: str | None, caller: Caller
) -> SignedIn:
    """Begin the session that a code stands for; raises TokenInvalid."""
    now = door.clock.now()
    found = await session.scalar(
        select(OneTimeToken)
        .where(
            col(OneTimeToken.token_hash) == token_hash(code),
            col(OneTimeToken.purpose) == OneTimePurpose.SIGN_IN,
        )
        .with_for_update()
    )
    if found is None or found.used_at is not None or found.expires_at <= now:
        raise TokenInvalid
    if not _answers(found.facts.get("challenge"), verifier):
        raise TokenInvalid
    user = await session.get(User, found.user_id)
    if user is None or user.status is not UserStatus.ACTIVE:
        raise TokenInvalid
    found.used_at = now
    return await begin_session(session, door, user, caller, SignInMethod(found.facts["method"]))


async def _by_email(
    session: AsyncSession, door: Door, proven: ProvenIdentity, now: datetime
) -> User:
    if proven.email is None or not proven.email_verified:
        raise SignInRefused(Refusal.EMAIL_UNVERIFIED)
    try:
        email = registration.clean_email("email", proven.email)
    except InvalidInput:
        raise SignInRefused(Refusal.EMAIL_UNVERIFIED) from None
    user = await registration.user_by_email(session, email)
    if user is not None:
        _active(user)
        if user.email_verified_at is None:
            raise SignInRefused(Refusal.ACCOUNT_UNVERIFIED)
        if user.second_factor:
            raise SignInRefused(Refusal.ACCOUNT_PROTECTED)
        return user
    if door.rules.invited_only and not await registration.invited(session, email, now):
        raise SignInRefused(Refusal.REGISTRATION_CLOSED)
    name = "".join(letter for letter in proven.name if letter.isprintable())
    return await registration.new_user(session, door, email=email, name=name, verified=True)


def _active(user: User | None) -> User:
    if user is None or user.status is not UserStatus.ACTIVE:
        raise SignInRefused(Refusal.ACCOUNT_INACTIVE)
    return user


def _answers(challenge: str | None, verifier: str | None) -> bool:
    if challenge is None:
        return verifier is None
    digest = hashlib.sha256((verifier or "").encode()).digest()
    return hmac.compare_digest(urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)
