"""What nobody may keep any longer goes, and nothing else does."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from domain.audit import Deed, record
from domain.errors import InvalidInput
from domain.identity import (
    Act,
    ApiKey,
    Caller,
    Credential,
    ExternalIdentity,
    Invitation,
    Member,
    OneTimePurpose,
    OneTimeToken,
    Role,
    SessionRecord,
    SignInAttempts,
    SignInMethod,
    User,
    UserStatus,
    Workspace,
    clean_email,
)
from domain.identity.deletion import erased_address
from infra.postgres.auditing import ACT
from infra.postgres.database import Database
from infra.postgres.janitor import Janitor
from infra.postgres.verification import verify
from tests.factories import (
    HOME_WORKSPACE_ID,
    NOW,
    OWNER_ID,
    FixedClock,
    api_key,
    connector,
    group,
    group_member,
    member,
    message,
    messages,
    new_id,
    save,
    store,
    user,
    workspace,
)


def janitor(database: Database, clock: FixedClock | None = None) -> Janitor:
    return Janitor(database, clock or FixedClock(), audit_days=30)


async def a_person(database: Database, **values: Any) -> tuple[User, Workspace]:
    """Somebody with a personal workspace and a session, marked wherever there is room for it."""
    person = user(email="ann@marked.example", name="Ann Marked", **values)
    place = workspace(name="Marked", personal=True)
    await save(database, person, place)
    await save(
        database,
        member(place.id, person.id),
        Credential(user_id=person.id, password_hash="marked"),
        SessionRecord(
            id=new_id(), user_id=person.id, method=SignInMethod.PASSWORD, device="marked",
            created_at=NOW, last_used_at=NOW, expires_at=NOW + timedelta(days=1),
        ),
        ExternalIdentity(
            id=new_id(), user_id=person.id, provider="p", issuer="https://p.example",
            subject="marked", created_at=NOW, last_used_at=NOW,
        ),
        Invitation(
            id=new_id(), workspace_id=HOME_WORKSPACE_ID, email="Ann@Marked.example",
            role=Role.VIEWER, token_hash=person.id.bytes, created_at=NOW,
            expires_at=NOW + timedelta(days=7),
        ),
        connector(workspace_id=place.id, name="marked"),
    )  # fmt: skip
    return person, place


async def everything(database: Database) -> str:
    """All rows of all tables, as text."""
    async with database.acquire() as connection:
        tables = await connection.fetch(
            "select relid::regclass::text as name from pg_stat_user_tables"
        )
        found = [
            value
            for table in tables
            for (value,) in await connection.fetch(f"select t::text from {table['name']} t")
        ]
    return "\n".join(found).lower()


async def test_an_account_whose_days_of_grace_are_over_leaves_no_trace_of_the_person(
    database: Database,
) -> None:
    person, place = await a_person(database, deletion_due_at=NOW - timedelta(seconds=1))
    team, key = group(HOME_WORKSPACE_ID), api_key(HOME_WORKSPACE_ID, person.id)
    await save(database, team, member(HOME_WORKSPACE_ID, person.id, Role.ANALYST))
    await save(database, group_member(team, person.id), key)
    await store(database, [message(workspace_id=place.id, data='{"it": "marked"}')])
    async with database.write({ACT: Act(Caller(None, "r"), "renamed")}) as session:
        (await session.get_one(Workspace, place.id)).name = "Marked anew"
    assert "marked" in await everything(database)

    done = await janitor(database).clean()

    assert done is not None
    assert (done.erased_accounts, done.orphaned_messages) == (1, 1)
    assert "marked" not in await everything(database)
    async with database.read() as session:
        tombstone = await session.get_one(User, person.id)
        assert (tombstone.status, tombstone.name) == (UserStatus.DELETED, "")
        assert (await session.get_one(ApiKey, key.id)).revoked_at == NOW
        members = await session.exec(select(col(Member.user_id)))
        assert set(members) == {OWNER_ID}
        assert await session.get(Workspace, HOME_WORKSPACE_ID) is not None
    async with database.acquire() as connection:
        assert [c.faults for c in await verify(connection)] == [[], [], []]
        told = await connection.fetch(
            "select subject_type, subject_id from audit_events where action = 'eraseAccount'"
        )
    assert ("User", str(person.id)) in [tuple(row) for row in told]


async def test_an_account_is_kept_until_its_time_and_is_erased_once(database: Database) -> None:
    person, _ = await a_person(database, deletion_due_at=NOW + timedelta(hours=1))
    clock = FixedClock()
    for erased, hours in ((0, 1), (1, 1), (0, 0)):
        done = await janitor(database, clock).clean()
        assert done is not None
        assert done.erased_accounts == erased
        clock.advance(hours=hours)
    async with database.read() as session:
        assert (await session.get_one(User, person.id)).status is UserStatus.DELETED


async def test_whom_others_need_as_owner_is_kept_until_they_hand_over(database: Database) -> None:
    person, _ = await a_person(database, deletion_due_at=NOW - timedelta(hours=1))
    shared, other = workspace(), user()
    await save(database, shared, other)
    await save(database, member(shared.id, person.id), member(shared.id, other.id, Role.VIEWER))
    done = await janitor(database).clean()
    assert done is not None
    assert done.erased_accounts == 0
    async with database.write() as session:
        handed = select(Member).where(Member.user_id == other.id)
        (await session.exec(handed)).one().role = Role.OWNER
    done = await janitor(database).clean()
    assert done is not None
    assert done.erased_accounts == 1
    async with database.read() as session:
        assert await session.get(Workspace, shared.id) is not None


async def test_an_account_that_cannot_be_deleted_keeps_no_other_from_it(database: Database) -> None:
    stuck, _ = await a_person(database, deletion_due_at=NOW - timedelta(hours=2))
    other = user(deletion_due_at=NOW - timedelta(hours=1))
    await save(database, other, user(email=erased_address(stuck.id)))
    done = await janitor(database).clean()
    assert done is not None
    assert done.erased_accounts == 1
    async with database.read() as session:
        assert (await session.get_one(User, other.id)).status is UserStatus.DELETED


def test_nobody_can_register_the_address_of_an_erased_account() -> None:
    with pytest.raises(InvalidInput):
        clean_email("email", erased_address(new_id()))


async def test_messages_go_with_their_workspace_and_others_stay(database: Database) -> None:
    gone = [new_id(), new_id()]
    stays = messages(5, node=1)
    await store(database, stays)
    for node, id in enumerate(gone, 2):
        await store(database, messages(3, node=node, workspace_id=id))
    done = await janitor(database).clean()
    assert done is not None
    assert done.orphaned_messages == 6
    async with database.acquire() as connection:
        left = await connection.fetch("select id from messages order by id")
    assert [row["id"] for row in left] == [m.id for m in stays]


async def test_events_past_retention_go_and_what_stays_can_be_verified(database: Database) -> None:
    async with database.write({ACT: Act(Caller(None, "r"))}) as session:
        record(session, Deed("old"))
    async with database.acquire() as connection:
        at = await connection.fetchval("select at from audit_events")
        for days, pruned in ((29, 0), (31, 1)):
            done = await janitor(database, FixedClock(at + timedelta(days=days))).clean()
            assert done is not None
            assert done.pruned_events == pruned
        (chain,) = await verify(connection)
    assert (chain.events, chain.anchor.sequence, chain.faults) == (0, 1, [])


async def test_worn_out_tokens_and_counts_go(database: Database) -> None:
    for number, moment in enumerate((NOW - timedelta(days=8), NOW)):
        await save(
            database,
            OneTimeToken(
                id=new_id(), user_id=OWNER_ID, purpose=OneTimePurpose.SIGN_IN,
                token_hash=bytes([number]), created_at=moment, expires_at=moment,
            ),
            SignInAttempts(key=bytes([number]), failures=1, last_failure_at=moment),
        )  # fmt: skip
    done = await janitor(database).clean()
    assert done is not None
    assert done.worn_out == 2
    async with database.read() as session:
        assert [t.token_hash for t in await session.exec(select(OneTimeToken))] == [b"\1"]
        assert [a.key for a in await session.exec(select(SignInAttempts))] == [b"\1"]


async def test_of_two_janitors_one_cleans(database: Database) -> None:
    async with database.acquire() as connection:
        await connection.execute("select pg_advisory_lock(x'6A616E69'::int)")
        assert await janitor(database).clean() is None
