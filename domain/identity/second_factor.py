"""The second factor: codes of an authenticator app, and recovery codes for when it is lost."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.identity.accounts import Credential, RecoveryCode, SessionEnd, SessionRecord, User
from domain.identity.denials import SecondFactorOff, SecondFactorOn, WrongCode
from domain.identity.door import Door
from domain.identity.sessions import end_all_sessions

RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 10
_LONGEST_CODE: Final = 64


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor that waits to be confirmed: its secret, as apps take it, and as a QR code in a data URI."""

    secret: str
    uri: str
    picture: str


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """Codes that each stand in once for the second factor; shown this once."""

    codes: tuple[str, ...]


async def enrol(session: AsyncSession, door: Door, user: User) -> Enrolment:
    """A new secret, of no effect until it is confirmed; raises SecondFactorOn."""
    credential = await _held(session, user.id)
    if credential.totp_confirmed_at is not None:
        raise SecondFactorOn
    secret = door.authenticators.new_secret()
    credential.totp_sealed = door.vault.seal(secret.encode(), user.id.bytes)
    credential.totp_last_step = 0
    uri = door.authenticators.uri(secret, user.email)
    return Enrolment(secret, uri, door.authenticators.picture(uri))


async def confirm(
    session: AsyncSession, door: Door, user_id: UUID, session_id: UUID | None, code: str
) -> RecoveryCodes:
    """Turn the second factor on with the app's first code; raises SecondFactorOn, SecondFactorOff, WrongCode.

    The other sessions end: they began without it, and a workspace that requires it must not be open to them.
    """
    credential = await _held(session, user_id)
    if credential.totp_confirmed_at is not None:
        raise SecondFactorOn
    if credential.totp_sealed is None:
        raise SecondFactorOff
    if not _take_step(door, credential, code):
        raise WrongCode
    now = door.clock.now()
    credential.totp_confirmed_at = now
    user = await session.get_one(User, user_id)
    user.second_factor = True
    user.updated_at = now
    await end_all_sessions(session, user_id, SessionEnd.ENDED, now, but=session_id)
    record = None if session_id is None else await session.get(SessionRecord, session_id)
    if record is not None:
        record.second_factor = True
    return await _new_codes(session, door, user_id)


async def disable(session: AsyncSession, door: Door, user_id: UUID) -> User:
    """Turn the second factor off, for a user who proved both; raises SecondFactorOff."""
    credential = await _held(session, user_id)
    if credential.totp_confirmed_at is None:
        raise SecondFactorOff
    credential.totp_sealed = credential.totp_confirmed_at = None
    user = await session.get_one(User, user_id)
    user.second_factor = False
    user.updated_at = door.clock.now()
    await _forget_codes(session, user_id)
    return user


async def renew_codes(session: AsyncSession, door: Door, user_id: UUID) -> RecoveryCodes:
    """New recovery codes in place of the old, for a user who proved both factors; raises SecondFactorOff."""
    credential = await _held(session, user_id)
    if credential.totp_confirmed_at is None:
        raise SecondFactorOff
    return await _new_codes(session, door, user_id)


async def take_code(session: AsyncSession, door: Door, credential: Credential, code: str) -> bool:
    """Whether a code of the app or a recovery code is good, which it is once; the credential must be held."""
    if _take_step(door, credential, code):
        return True
    unused = await session.scalar(
        select(RecoveryCode)
        .where(
            col(RecoveryCode.user_id) == credential.user_id,
            col(RecoveryCode.code_hash) == _code_hash(code),
            col(RecoveryCode.used_at).is_(None),
        )
        .with_for_update()
    )
    if unused is None:
        return False
    unused.used_at = door.clock.now()
    return True


def _take_step(door: Door, credential: Credential, code: str) -> bool:
    if credential.totp_sealed is None:
        return False
    digits = "".join(code[:_LONGEST_CODE].split())
    secret = door.vault.open(credential.totp_sealed, credential.user_id.bytes).decode()
    step = door.authenticators.step(secret, digits, door.clock.now())
    if step is None or step <= credential.totp_last_step:
        return False
    credential.totp_last_step = step
    return True


async def _new_codes(session: AsyncSession, door: Door, user_id: UUID) -> RecoveryCodes:
    await _forget_codes(session, user_id)
    codes = tuple(_code(door.opaque.new()) for _ in range(RECOVERY_CODES))
    session.add_all(
        RecoveryCode(id=door.ids.new(), user_id=user_id, code_hash=_code_hash(code))
        for code in codes
    )
    return RecoveryCodes(codes)


async def _forget_codes(session: AsyncSession, user_id: UUID) -> None:
    await session.exec(
        delete(RecoveryCode)
        .where(col(RecoveryCode.user_id) == user_id)
        .execution_options(synchronize_session=False)
    )


def _code(token: str) -> str:
    """80 of a token's bits in letters that are easily typed: `abcd-efgh-2345-mnop`."""
    drawn = hashlib.sha256(token.encode()).digest()[:_RECOVERY_BYTES]
    letters = base64.b32encode(drawn).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def _code_hash(code: str) -> bytes:
    kept = "".join(letter for letter in code[:_LONGEST_CODE].lower() if letter.isalnum())
    return hashlib.sha256(kept.encode()).digest()


async def _held(session: AsyncSession, user_id: UUID) -> Credential:
    statement = select(Credential).where(col(Credential.user_id) == user_id).with_for_update()
    return (await session.exec(statement)).one()
