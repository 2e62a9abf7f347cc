"""Signing in with address, password and, where it is on, the second factor."""

from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain import audit
from domain.audit import AuditOutcome, Deed
from domain.errors import DomainError
from domain.identity import attempts
from domain.identity.accounts import (
    Credential,
    SessionEnd,
    SignInMethod,
    User,
    UserStatus,
)
from domain.identity.attempts import Attempt
from domain.identity.denials import (
    EmailNotVerified,
    InvalidCredentials,
    SecondFactorRequired,
    WrongCode,
)
from domain.identity.door import Door
from domain.identity.passwords import held_credential, tried
from domain.identity.registration import clean_email
from domain.identity.second_factor import take_code
from domain.identity.sessions import (
    SignedIn,
    SignedOut,
    begin_session,
    end_all_sessions,
    end_session,
)
from domain.identity.viewer import Caller
from domain.ports import Database

_CODES = {
    InvalidCredentials: "INVALID_CREDENTIALS",
    EmailNotVerified: "EMAIL_NOT_VERIFIED",
    SecondFactorRequired: "SECOND_FACTOR_REQUIRED",
    WrongCode: "WRONG_CODE",
}


async def sign_in(
    database: Database,
    door: Door,
    caller: Caller,
    *,
    email: str,
    password: str,
    code: str | None = None,
) -> SignedIn:
    """A session for who proves to be a user; `code` is of the authenticator app, or a recovery code.

    Raises TooManyAttempts, InvalidCredentials, EmailNotVerified, SecondFactorRequired, WrongCode. An address that
    nobody has is answered like a wrong password, after as much work.
    """
    email = clean_email("email", email)
    password = tried("password", password)
    attempt = await attempts.begin_attempt(database, door.clock.now(), email)
    begun = door.pace.begin()
    async with database.read() as session:
        user_id, known_hash = await _known(session, email)
    good, better_hash = await door.hasher.verify(password, known_hash)
    async with database.write() as session:
        outcome: SignedIn | DomainError = InvalidCredentials()
        if good and user_id is not None:
            outcome = await _admitted(
                session, door, caller, user_id, known_hash, better_hash, code, attempt
            )
        _note(session, outcome, user_id)
    if isinstance(outcome, InvalidCredentials):
        await door.pace.even_out(begun)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


async def sign_out(
    session: AsyncSession, door: Door, user_id: UUID, session_id: UUID | None, everywhere: bool
) -> SignedOut:
    """End the session signed in with, or all of the user's; raises SessionNotFound when it has ended already."""
    now = door.clock.now()
    if everywhere or session_id is None:
        ended = await end_all_sessions(session, user_id, SessionEnd.SIGNED_OUT, now)
        return SignedOut(ended)
    await end_session(session, user_id, session_id, SessionEnd.SIGNED_OUT, now)
    return SignedOut(1)


async def _known(session: AsyncSession, email: str) -> tuple[UUID | None, str | None]:
    found = await session.exec(
        select(col(User.id), col(Credential.password_hash))
        .join(Credential, col(Credential.user_id) == col(User.id))
        .where(func.lower(col(User.email)) == email, col(User.status) == UserStatus.ACTIVE)
    )
    return found.one_or_none() or (None, None)


async def _admitted(
    session: AsyncSession,
    door: Door,
    caller: Caller,
    user_id: UUID,
    known_hash: str | None,
    better_hash: str | None,
    code: str | None,
    attempt: Attempt,
) -> SignedIn | DomainError:
    credential = await held_credential(session, user_id)
    user = await session.get_one(User, user_id)
    if credential.password_hash != known_hash or user.status is not UserStatus.ACTIVE:
        return InvalidCredentials()  # changed since it was read
    if user.email_verified_at is None:
        await attempts.take_back(session, attempt)
        return EmailNotVerified()
    second_factor = credential.totp_confirmed_at is not None
    if second_factor and code is None:
        await attempts.take_back(session, attempt)
        return SecondFactorRequired()
    if second_factor and not await take_code(session, door, credential, code or ""):
        return WrongCode()
    if better_hash is not None:
        credential.password_hash = better_hash
    await attempts.forget_attempts(session, user.email)
    return await begin_session(
        session, door, user, caller, SignInMethod.PASSWORD, second_factor=second_factor
    )


def _note(session: AsyncSession, outcome: SignedIn | DomainError, user_id: UUID | None) -> None:
    refused = isinstance(outcome, DomainError)
    audit.record(
        session,
        Deed(
            "signIn",
            subject_type="User",
            subject_id=None if user_id is None else str(user_id),
            outcome=AuditOutcome.REFUSED if refused else AuditOutcome.DONE,
            code=_CODES[type(outcome)] if isinstance(outcome, DomainError) else None,
        ),
    )
