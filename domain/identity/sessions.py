"""Sessions: one per sign-in and device, continued by refresh tokens of which one at a time is good."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from domain import audit
from domain.audit import AuditOutcome, Deed
from domain.identity.accounts import (
    RefreshToken,
    SessionEnd,
    SessionRecord,
    SignInMethod,
    User,
    UserStatus,
)
from domain.identity.denials import SessionNotFound, TokenInvalid
from domain.identity.door import Door
from domain.identity.tokens import token_hash
from domain.identity.viewer import Caller
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Database

TOUCH_EVERY: Final = timedelta(minutes=1)
TOKEN_REUSED: Final = "TOKEN_REUSED"  # noqa: S105 - a code of the audit


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What signing in gives."""

    access_token: str
    refresh_token: str
    expires_at: datetime
    user: User


@dataclass(frozen=True, slots=True)
class SignedOut:
    """What signing out ended."""

    sessions: int


async def begin_session(
    session: AsyncSession,
    door: Door,
    user: User,
    caller: Caller,
    method: SignInMethod,
    *,
    second_factor: bool = False,
) -> SignedIn:
    """Let somebody in who proved to be this user; an account that waits for its deletion is kept."""
    now = door.clock.now()
    record = SessionRecord(
        id=door.ids.new(),
        user_id=user.id,
        method=method,
        second_factor=second_factor,
        device=_shortened(caller.agent, 500),
        address=_shortened(caller.address, 100),
        created_at=now,
        last_used_at=now,
        expires_at=now + door.rules.session_lifetime,
    )
    user.deletion_due_at = None
    session.add(record)
    session.add(user)
    await session.flush()
    return await _continued(session, door, user, record)


async def refresh_session(
    database: Database, door: Door, caller: Caller, refresh_token: str
) -> SignedIn:
    """Continue a session with its refresh token, which is good once; raises TokenInvalid.

    A token that comes a second time was stolen, before or after its use: its whole session ends.
    """
    async with database.write() as session:
        signed_in = await _refreshed(session, door, caller, token_hash(refresh_token))
    if signed_in is None:
        raise TokenInvalid
    return signed_in


async def _refreshed(
    session: AsyncSession, door: Door, caller: Caller, hash: bytes
) -> SignedIn | None:
    now = door.clock.now()
    family = select(col(RefreshToken.session_id)).where(col(RefreshToken.token_hash) == hash)
    record = await session.scalar(  # held first, so that uses of one session follow each other
        select(SessionRecord).where(col(SessionRecord.id).in_(family)).with_for_update()
    )
    if record is None or record.ended_at is not None or record.expires_at <= now:
        return None
    token = await session.scalar(select(RefreshToken).where(col(RefreshToken.token_hash) == hash))
    user = await session.get(User, record.user_id)
    if token is None or user is None or user.status is not UserStatus.ACTIVE:
        return None
    if token.used_at is not None:
        await _end(session, record, SessionEnd.TOKEN_REUSED, now)
        audit.record(
            session,
            Deed(
                "refreshSession",
                subject_type="User",
                subject_id=str(user.id),
                outcome=AuditOutcome.REFUSED,
                code=TOKEN_REUSED,
                facts={"session": str(record.id)},
            ),
        )
        return None
    token.used_at = now
    record.last_used_at = now
    record.expires_at = now + door.rules.session_lifetime
    record.device = _shortened(caller.agent, 500) or record.device
    record.address = _shortened(caller.address, 100) or record.address
    return await _continued(session, door, user, record)


async def touch_session(
    session: AsyncSession, session_id: UUID, now: datetime, address: str | None = None
) -> None:
    """Remember that a session is in use, at most once a minute."""
    values: dict[str, Any] = {"last_used_at": now}
    if address is not None:
        values["address"] = _shortened(address, 100)
    await session.exec(
        update(SessionRecord)
        .where(
            col(SessionRecord.id) == session_id,
            col(SessionRecord.last_used_at) <= now - TOUCH_EVERY,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )


async def end_session(
    session: AsyncSession, user_id: UUID, session_id: UUID, reason: SessionEnd, now: datetime
) -> SessionRecord:
    """End one of a user's sessions; raises SessionNotFound."""
    record = await session.scalar(
        _going_on(user_id, now).where(col(SessionRecord.id) == session_id).with_for_update()
    )
    if record is None:
        raise SessionNotFound(id=str(session_id))
    await _end(session, record, reason, now)
    return record


async def end_all_sessions(
    session: AsyncSession,
    user_id: UUID,
    reason: SessionEnd,
    now: datetime,
    but: UUID | None = None,
) -> int:
    """End a user's sessions, all or all but one; how many."""
    statement = _going_on(user_id, now).order_by(col(SessionRecord.id)).with_for_update()
    records = [record for record in await session.exec(statement) if record.id != but]
    for record in records:
        await _end(session, record, reason, now)
    return len(records)


async def sessions_of(
    database: Database, user_id: UUID, now: datetime, window: Window
) -> Page[SessionRecord]:
    """A page of a user's sessions that go on, newest first."""
    keyset = Keyset[SessionRecord](UUID, col(SessionRecord.id), lambda record: record.id)
    return await keyset.page(database, _going_on(user_id, now), window)


async def session_of(
    session: AsyncSession, user_id: UUID, session_id: UUID, now: datetime
) -> SessionRecord | None:
    """One of a user's sessions that go on."""
    return await session.scalar(_going_on(user_id, now).where(col(SessionRecord.id) == session_id))


async def _continued(
    session: AsyncSession, door: Door, user: User, record: SessionRecord
) -> SignedIn:
    token = door.opaque.new()
    session.add(
        RefreshToken(
            id=door.ids.new(),
            session_id=record.id,
            token_hash=token_hash(token),
            created_at=record.last_used_at,
            expires_at=record.expires_at,
        )
    )
    access = await door.tokens.issue(user.id, record.id)
    return SignedIn(access.token, token, access.expires_at, user)


async def _end(
    session: AsyncSession, record: SessionRecord, reason: SessionEnd, now: datetime
) -> None:
    record.ended_at, record.end_reason = now, reason
    session.add(record)
    await session.exec(
        delete(RefreshToken)
        .where(col(RefreshToken.session_id) == record.id)
        .execution_options(synchronize_session=False)
    )


def _going_on(user_id: UUID, now: datetime) -> SelectOfScalar[SessionRecord]:
    return select(SessionRecord).where(
        col(SessionRecord.user_id) == user_id,
        col(SessionRecord.ended_at).is_(None),
        col(SessionRecord.expires_at) > now,
    )


def _shortened(text: str | None, longest: int) -> str | None:
    return None if text is None else text.replace("\0", "")[:longest]
