"""What a password must be, and proving, changing and resetting it."""

import unicodedata
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError, InvalidInput
from domain.identity import attempts, mails, one_time
from domain.identity.accounts import Credential, OneTimePurpose, SessionEnd, User, UserStatus
from domain.identity.denials import (
    SecondFactorRequired,
    TokenInvalid,
    WrongCode,
    WrongPassword,
)
from domain.identity.door import Door
from domain.identity.second_factor import take_code
from domain.identity.sessions import end_all_sessions
from domain.identity.viewer import Caller, Unauthenticated
from domain.ports import Database
from domain.texts import check_text

SHORTEST: Final = 10
LONGEST: Final = 128
LONGEST_TRIED: Final = 1024
RESET_LIFETIME: Final = timedelta(hours=1)
_FEWEST_CHARACTERS: Final = 5
_SHORTEST_PART: Final = 4
_UNSET: Final = (
    "cannot be: the account has no password yet; requestPasswordReset mails a token to choose one"
)


def check_password(door: Door, field: str, password: str, email: str, name: str = "") -> str:
    """A new password in Unicode's composed form; raises InvalidInput for one that is easy to guess."""
    password = tried(field, password)
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInput(field=field, reason=f"must have {SHORTEST} to {LONGEST} characters")
    lower = password.lower()
    if lower in door.common_passwords:
        raise InvalidInput(field=field, reason="is one of the most common passwords")
    if len(set(lower)) < _FEWEST_CHARACTERS:
        raise InvalidInput(field=field, reason="repeats too few characters")
    if _plain(lower) in {_plain(part) for part in _personal(email, name)}:
        raise InvalidInput(field=field, reason="must not be the e-mail address or the name")
    return password


def tried(field: str, password: str) -> str:
    """A password as somebody gave it, in Unicode's composed form; raises InvalidInput for what can be none."""
    check_text(field, password, 1, LONGEST_TRIED)
    return unicodedata.normalize("NFC", password)


def set_password(door: Door, credential: Credential, hash: str) -> None:
    """Store the hash of a new password."""
    credential.password_hash = hash
    credential.password_changed_at = door.clock.now()


async def reauthenticate(
    database: Database,
    door: Door,
    user_id: UUID,
    *,
    password: str | None,
    code: str | None = None,
    code_needed: bool = False,
    field: str = "password",
) -> User:
    """Have a signed-in user prove again who they are, as often as signing in may be tried.

    A code is asked for where `code_needed` and the second factor is on. Raises WrongPassword, SecondFactorRequired,
    WrongCode, TooManyAttempts, Unauthenticated; an account without a password is proven by the code alone.
    """
    given = None if password is None else tried(field, password)
    async with database.read() as session:
        user = await session.get(User, user_id)
        stored = await session.get(Credential, user_id)
    if user is None or stored is None or user.status is not UserStatus.ACTIVE:
        raise Unauthenticated(reason="account deactivated")
    attempt = await attempts.begin_attempt(database, door.clock.now(), user.email)
    if stored.password_hash is not None or given is not None:
        good, _ = await door.hasher.verify(given or "", stored.password_hash)
        if not good:
            raise WrongPassword
    async with database.write() as session:
        refusal = await _code_refused(session, door, user_id, code) if code_needed else None
        if refusal is None:
            await attempts.forget_attempts(session, user.email)
        elif isinstance(refusal, SecondFactorRequired):
            await attempts.take_back(session, attempt)
    if refusal is not None:
        raise refusal
    return user


async def _code_refused(
    session: AsyncSession, door: Door, user_id: UUID, code: str | None
) -> DomainError | None:
    credential = await held_credential(session, user_id)
    if credential.totp_confirmed_at is None:
        return None
    if code is None:
        return SecondFactorRequired()
    return None if await take_code(session, door, credential, code) else WrongCode()


async def change_password(
    database: Database,
    door: Door,
    caller: Caller,
    user_id: UUID,
    *,
    old: str | None,
    new: str,
    session_id: UUID | None,
) -> User:
    """Replace the password, known the old one, and end the user's other sessions; raises what proving raises.

    An account's first password takes a mailed token: a stolen session must not become a way in for good.
    """
    user = await reauthenticate(database, door, user_id, password=old, field="oldPassword")
    new = check_password(door, "newPassword", new, user.email, user.name)
    hash = await door.hasher.hash(new)
    now = door.clock.now()
    async with database.write() as session:
        credential = await held_credential(session, user_id)
        if credential.password_hash is None:
            raise InvalidInput(field="oldPassword", reason=_UNSET)
        set_password(door, credential, hash)
        await one_time.void_all(session, user_id, now)
        await end_all_sessions(session, user_id, SessionEnd.PASSWORD_CHANGED, now, but=session_id)
    door.post.send(mails.notice(user.email, "The password"), caller.request_id)
    return user


async def request_password_reset(
    database: Database, door: Door, caller: Caller, email: str
) -> None:
    """Mail a token to choose a new password with, when the address is an active user's; says nothing otherwise."""
    now, purpose, begun = door.clock.now(), OneTimePurpose.RESET_PASSWORD, door.pace.begin()
    mail = None
    async with database.write() as session:
        user = await _active_user(session, email)
        if user is not None and not await one_time.too_many(session, user.id, purpose, now):
            token = await one_time.give_token(session, door, user.id, purpose, RESET_LIFETIME)
            mail = mails.reset_password(user.email, token, door.rules.app_url)
    if mail is not None:
        door.post.send(mail, caller.request_id)
    await door.pace.even_out(begun)


async def reset_password(
    database: Database, door: Door, caller: Caller, token: str, password: str
) -> User:
    """Choose a new password with a mailed token, which proves the address too; ends all sessions.

    Raises TokenInvalid, InvalidInput (the token stays good then).
    """
    now, purpose = door.clock.now(), OneTimePurpose.RESET_PASSWORD
    async with database.read() as session:
        found = await one_time.peek(session, token, purpose, now)
        user = await session.get(User, found.user_id)
    if user is None or user.status is not UserStatus.ACTIVE:
        raise TokenInvalid
    password = check_password(door, "password", password, user.email, user.name)
    hash = await door.hasher.hash(password)
    async with database.write() as session:
        await one_time.redeem(session, token, purpose, now)
        user = await session.get_one(User, found.user_id)
        set_password(door, await held_credential(session, user.id), hash)
        if user.email_verified_at is None:
            user.email_verified_at = now
        await one_time.void_all(session, user.id, now)
        await end_all_sessions(session, user.id, SessionEnd.PASSWORD_CHANGED, now)
        await attempts.forget_attempts(session, user.email)
    door.post.send(mails.notice(user.email, "The password"), caller.request_id)
    return user


async def held_credential(session: AsyncSession, user_id: UUID) -> Credential:
    """How a user proves who they are, held until the end of the transaction."""
    statement = select(Credential).where(col(Credential.user_id) == user_id).with_for_update()
    statement = statement.execution_options(populate_existing=True)
    return (await session.exec(statement)).one()


async def _active_user(session: AsyncSession, email: str) -> User | None:
    return await session.scalar(
        select(User).where(
            func.lower(col(User.email)) == email,
            col(User.status) == UserStatus.ACTIVE,
        )
    )


def _personal(email: str, name: str) -> list[str]:
    parts = [email, email.partition("@")[0], name]
    return [part for part in parts if len(part) >= _SHORTEST_PART]


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
