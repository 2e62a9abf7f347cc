"""Sessions: continued, listed, ended."""

from sqlalchemy import func
from sqlmodel import col, select

from domain.audit import AuditOutcome
from domain.identity import (
    Caller,
    SessionEnd,
    SessionRecord,
)
from tests.resolvers.people import (
    EMAIL,
    PASSWORD,
    People,
)

NEXT = "a new and long passphrase"


async def test_a_session_is_continued_by_each_refresh_token_once(people: People):
    await people.join()
    first = await people.do("signIn", email=EMAIL, password=PASSWORD)
    people.clock.advance(minutes=15)
    second = await people.do("refreshSession", refreshToken=first["refreshToken"])
    assert second["__typename"] == "Session"
    assert second["refreshToken"] != first["refreshToken"]
    tokens = [await people.door.tokens.verify(second["accessToken"])]
    people.clock.advance(days=29)
    third = await people.do("refreshSession", refreshToken=second["refreshToken"])
    tokens.append(await people.door.tokens.verify(third["accessToken"]))
    assert tokens[0].session_id == tokens[1].session_id
    people.clock.advance(days=30)
    late = await people.do("refreshSession", refreshToken=third["refreshToken"])
    assert late["code"] == "TOKEN_INVALID"


async def test_a_reused_refresh_token_ends_its_whole_session_and_is_audited(people: People):
    viewer = await people.join()
    await people.do("signIn", email=EMAIL, password=PASSWORD)
    stolen = await people.do("signIn", email=EMAIL, password=PASSWORD)
    fresh = await people.do("refreshSession", refreshToken=stolen["refreshToken"])
    claims = await people.door.tokens.verify(fresh["accessToken"])
    reused = await people.do("refreshSession", refreshToken=stolen["refreshToken"])
    assert reused["code"] == "TOKEN_INVALID"
    after = await people.do("refreshSession", refreshToken=fresh["refreshToken"])
    assert after["code"] == "TOKEN_INVALID"
    async with people.database.read() as session:
        record = await session.get_one(SessionRecord, claims.session_id)
        going_on = select(func.count()).select_from(SessionRecord)
        going_on = going_on.where(
            col(SessionRecord.user_id) == viewer.user_id, col(SessionRecord.ended_at).is_(None)
        )
        assert await session.scalar(going_on) == 2  # of joining, and the first one here
    assert record.end_reason is SessionEnd.TOKEN_REUSED
    [event] = await people.events(code="TOKEN_REUSED")
    assert (event.outcome, event.subject_id) == (AuditOutcome.REFUSED, str(viewer.user_id))


async def test_sessions_are_listed_with_their_device_and_ended_one_by_one(people: People):
    viewer = await people.join()
    await people.do(
        "signIn",
        caller=Caller(None, "request-2", address="203.0.113.7", agent="Phone/1.0"),
        email=EMAIL,
        password=PASSWORD,
    )
    phone, here = await people.sessions(viewer)
    assert (phone["device"], phone["address"]) == ("Phone/1.0", "203.0.113.7")
    assert (phone["method"], phone["current"], here["current"]) == ("PASSWORD", False, True)
    node = "query($id: ID!) { node(id: $id) { id ... on DeviceSession { device } } }"
    assert (await people.ask(node, viewer, id=phone["id"]))["node"]["device"] == "Phone/1.0"
    ended = await people.do("endSession", viewer, id=phone["id"])
    assert ended["id"] == phone["id"]
    assert [listed["id"] for listed in await people.sessions(viewer)] == [here["id"]]
    again = await people.do("endSession", viewer, id=phone["id"])
    assert (again["code"], again["id"]) == ("SESSION_NOT_FOUND", phone["id"])


async def test_nobody_sees_or_ends_anothers_session(people: People):
    ada, bob = await people.join(), await people.join("bob@example.com")
    [hers] = await people.sessions(ada)
    assert [listed["id"] for listed in await people.sessions(bob)] != [hers["id"]]
    assert (await people.do("endSession", bob, id=hers["id"]))["code"] == "SESSION_NOT_FOUND"
    found = await people.ask("query($id: ID!) { node(id: $id) { id } }", bob, id=hers["id"])
    assert found["node"] is None
    assert len(await people.sessions(ada)) == 1


async def test_signing_out_ends_this_session_or_all(people: People):
    viewer = await people.join()
    others = [await people.sign_in() for _ in range(2)]
    assert (await people.do("signOut", viewer))["sessions"] == 1
    assert viewer.session_id not in await people.going_on(viewer)
    assert (await people.do("signOut", viewer))["code"] == "SESSION_NOT_FOUND"
    assert (await people.do("signOut", others[0], everywhere=True))["sessions"] == 2
    assert await people.going_on(viewer) == []
