"""Whatever happens to a session's tokens, at most one is good, and a second use of any ends the session."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func
from sqlmodel import col, select

from domain.identity import Caller, RefreshToken, SessionEnd, SessionRecord, sessions
from domain.identity.denials import TokenInvalid
from domain.identity.sessions import SignedIn
from tests.resolvers.people import EMAIL, PASSWORD, People

FEW = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def begun(people: People) -> str:
    """The refresh token of a new session."""
    if not people.mailbox.mails:
        await people.join()
    token: str = (await people.do("signIn", email=EMAIL, password=PASSWORD))["refreshToken"]
    return token


async def refresh(people: People, token: str) -> SignedIn | None:
    """The next tokens; None when there are none."""
    database = people.world.services.context(Caller(None, "request-1")).accounts
    try:
        return await sessions.refresh_session(
            database, people.door, Caller(None, "request-1"), token
        )
    except TokenInvalid:
        return None


async def newest(people: People) -> tuple[SessionRecord, int]:
    """The newest session, and how many unused tokens it has."""
    async with people.database.read() as session:
        statement = select(SessionRecord).order_by(col(SessionRecord.id).desc()).limit(1)
        record = (await session.exec(statement)).one()
        unused = select(func.count()).select_from(RefreshToken)
        unused = unused.where(
            col(RefreshToken.session_id) == record.id, col(RefreshToken.used_at).is_(None)
        )
        return record, await session.scalar(unused) or 0


@FEW
@given(uses=st.lists(st.integers(0, 7), max_size=10))
async def test_a_token_is_good_once_in_any_order_of_uses(people: People, uses: list[int]):
    tokens, used, ended = [await begun(people)], set[str](), False
    for which in uses:
        token = tokens[which % len(tokens)]
        signed_in = await refresh(people, token)
        assert (signed_in is not None) == (not ended and token not in used)
        ended = ended or token in used
        used.add(token)
        if signed_in is not None:
            tokens.append(signed_in.refresh_token)
        record, unused = await newest(people)
        assert unused == (0 if ended else 1)
        assert record.end_reason is (SessionEnd.TOKEN_REUSED if ended else None)


@FEW
@given(at_once=st.integers(2, 5))
async def test_uses_at_once_admit_one_and_end_the_session(people: People, at_once: int):
    token = await begun(people)
    results: list[Any] = await asyncio.gather(*(refresh(people, token) for _ in range(at_once)))
    admitted = [result for result in results if result is not None]
    assert len(admitted) == 1
    assert await refresh(people, admitted[0].refresh_token) is None
    record, unused = await newest(people)
    assert (record.end_reason, unused) == (SessionEnd.TOKEN_REUSED, 0)
