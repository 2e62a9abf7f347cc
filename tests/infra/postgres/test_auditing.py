"""What a transaction changes is written down in that transaction, without secrets and without personal data."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlmodel import SQLModel, select

from domain.audit import ACCOUNTS_CHAIN, MASK, WITHHELD, AuditEvent, AuditOutcome, Deed, record
from domain.connectors import Connector
from domain.identity import (
    Act,
    Caller,
    Credential,
    SessionRecord,
    SignInAttempts,
    SignInMethod,
    User,
    Viewer,
    Workspace,
)
from domain.secrets import Secret
from infra.postgres.audited import BOOKKEEPING, SUBJECTS
from infra.postgres.auditing import ACT
from infra.postgres.database import Database
from tests.factories import (
    HOME_WORKSPACE_ID,
    NOW,
    OWNER_ID,
    connector,
    group,
    group_member,
    new_id,
    save,
    user,
)


def act(action: str = "doThing", *, user_id: UUID | None = OWNER_ID, **origin: Any) -> Act:
    viewer = None if user_id is None else Viewer(HOME_WORKSPACE_ID, user_id, session_id=UUID(int=9))
    return Act(Caller(viewer, "req-1", "192.0.2.7", "curl/8", **origin), action)


def signed_in(user_id: UUID) -> SessionRecord:
    return SessionRecord(
        id=new_id(), user_id=user_id, method=SignInMethod.PASSWORD, created_at=NOW,
        last_used_at=NOW, expires_at=NOW,
    )  # fmt: skip


async def events(database: Database) -> list[AuditEvent]:
    async with database.read() as session:
        return list(await session.exec(select(AuditEvent).order_by(AuditEvent.id)))  # type: ignore[arg-type]


def changes(event: AuditEvent) -> dict[str, tuple[Any, Any]]:
    return {change["field"]: (change["before"], change["after"]) for change in event.changes}


async def test_a_change_is_one_event_with_who_what_where_and_before_and_after(
    database: Database,
) -> None:
    async with database.write({ACT: act("updateWorkspace")}) as session:
        workspace = await session.get_one(Workspace, HOME_WORKSPACE_ID)
        before = workspace.name
        workspace.name, workspace.second_factor_required = "Renamed", True
    (event,) = await events(database)
    assert (event.action, event.outcome, event.workspace_id, event.user_id) == (
        "updateWorkspace", AuditOutcome.DONE, HOME_WORKSPACE_ID, OWNER_ID,
    )  # fmt: skip
    assert (event.address, event.agent, event.request_id, event.session_id) == (
        "192.0.2.7", "curl/8", "req-1", UUID(int=9),
    )  # fmt: skip
    assert (event.subject_type, event.subject_id) == ("Workspace", str(HOME_WORKSPACE_ID))
    assert changes(event) == {
        "name": (before, "Renamed"),
        "secondFactorRequired": (False, True),
    }


async def test_several_flushes_of_one_transaction_make_one_event_from_first_to_last(
    database: Database,
) -> None:
    async with database.write({ACT: act()}) as session:
        workspace = await session.get_one(Workspace, HOME_WORKSPACE_ID)
        before = workspace.name
        for name in ("one", "two"):
            workspace.name = name
            await session.flush()
    (event,) = await events(database)
    assert changes(event) == {"name": (before, "two")}


async def test_what_is_rolled_back_is_not_told_and_what_was_noted_waits_in_the_trail(
    database: Database,
) -> None:
    doing, deed = act("signIn"), Deed("signIn", subject_type="User", subject_id="7")
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with database.write({ACT: doing}) as session:
            (await session.get_one(Workspace, HOME_WORKSPACE_ID)).name = "never"
            record(session, deed)
            raise ZeroDivisionError
    assert await events(database) == []
    assert (doing.trail.written, doing.trail.undone) == ([], [deed])


async def test_a_savepoint_that_is_rolled_back_takes_its_events_along(database: Database) -> None:
    doing = act()
    async with database.write({ACT: doing}) as session:
        workspace = await session.get_one(Workspace, HOME_WORKSPACE_ID)
        async with session.begin_nested():
            workspace.name = "kept"
        savepoint = await session.begin_nested()
        workspace.currency = "EUR"
        record(session, Deed("lost"))
        await session.flush()
        await savepoint.rollback()
    (event,) = await events(database)
    assert list(changes(event)) == ["name"]
    assert doing.trail.written == [AuditOutcome.DONE]


async def test_secrets_and_personal_data_are_never_in_an_event(database: Database) -> None:
    person = user(email="ann@marked.example", name="Ann Marked")
    async with database.write({ACT: act()}) as session:
        session.add(person)
        await session.flush()
        session.add_all(
            [
                Credential(user_id=person.id, password_hash="$marked$", totp_sealed=b"marked"),
                connector(name="c", sealed=b"marked", secret_fields=["apiKey"]),
                Secret(
                    id=new_id(), workspace_id=HOME_WORKSPACE_ID, name="exchange", sealed=b"marked",
                    masked="****", created_at=NOW, updated_at=NOW,
                ),
            ]
        )  # fmt: skip
    async with database.write({ACT: act()}) as session:
        (await session.get_one(User, person.id)).email = "bob@marked.example"
        (await session.get_one(Credential, person.id)).password_hash = "$marked again$"
    found = await events(database)
    assert not [event for event in found if "marked" in str(event.changes).lower()]
    last = changes(found[-1])
    assert last == {"email": (WITHHELD, WITHHELD), "passwordHash": (MASK, MASK)}
    assert changes(next(e for e in found if e.subject_type == "Secret"))["sealed"] == (None, MASK)


async def test_bookkeeping_makes_no_events(database: Database) -> None:
    record = signed_in(OWNER_ID)
    await save(database, record)
    doing = act()
    async with database.write({ACT: doing}) as session:
        session.add(SignInAttempts(key=b"1" * 32, failures=1, last_failure_at=NOW))
        (await session.get_one(SessionRecord, record.id)).last_used_at = NOW.replace(hour=13)
        (await session.get_one(Workspace, HOME_WORKSPACE_ID)).version += 1
        await session.exec(
            update(SessionRecord).values(last_used_at=NOW).where(SessionRecord.id == record.id)  # type: ignore[arg-type]
        )
    assert await events(database) == []
    assert doing.trail.written == []


async def test_a_statement_past_the_unit_of_work_is_told_all_the_same(database: Database) -> None:
    await save(database, connector(name="a"), connector(name="b"))
    async with database.write({ACT: act("stopAll")}) as session:
        await session.exec(update(Connector).values(enabled=False, sealed=b"x"))
    (event,) = await events(database)
    assert (event.action, event.subject_type, event.subject_id) == ("stopAll", "Connector", None)
    assert event.workspace_id == HOME_WORKSPACE_ID
    assert changes(event) == {"enabled": (None, False), "sealed": (None, MASK)}


async def test_a_deed_completes_the_event_of_its_subject_and_is_one_of_its_own_otherwise(
    database: Database,
) -> None:
    made = connector(name="fed")
    async with database.write({ACT: act("createConnector")}) as session:
        session.add(made)
        record(
            session,
            Deed(
                "createConnector",
                subject_type="Connector",
                subject_id=str(made.id),
                facts={"why": "demo"},
            ),
        )
        record(session, Deed("useSecret", HOME_WORKSPACE_ID, "Secret", "5"))
    found = {event.action: event for event in await events(database)}
    assert set(found) == {"createConnector", "useSecret"}
    assert changes(found["createConnector"])["why"] == (None, "demo")
    assert changes(found["createConnector"])["name"] == (None, "fed")
    assert found["useSecret"].subject_id == "5"


async def test_who_registers_or_signs_in_is_who_they_turn_out_to_be(database: Database) -> None:
    person = user()
    async with database.write({ACT: act("register", user_id=None)}) as session:
        session.add(person)
    async with database.write({ACT: act("resetPassword", user_id=None)}) as session:
        session.add(Credential(user_id=person.id, password_hash="x"))
    async with database.write({ACT: act("signIn", user_id=None)}) as session:
        session.add(signed_in(person.id))
    registered, reset, entered = await events(database)
    assert (entered.user_id, entered.subject_id) == (person.id, str(person.id))
    assert list(changes(entered)) == ["session", "method"]
    assert (registered.user_id, registered.chain) == (person.id, ACCOUNTS_CHAIN)
    assert (reset.user_id, reset.subject_id) == (None, str(person.id))


async def test_what_an_operator_does_for_people_is_not_told_as_theirs(database: Database) -> None:
    operator = Act(Caller(None, "command line", agent="penstock"), "token")
    async with database.write({ACT: operator}) as session:
        session.add(signed_in(OWNER_ID))
    (event,) = await events(database)
    assert (event.user_id, event.subject_id) == (None, str(OWNER_ID))


async def test_members_of_a_group_are_told_as_the_groups(database: Database) -> None:
    one, team = user(), group(HOME_WORKSPACE_ID)
    await save(database, one, team)
    membership = group_member(team, one.id)
    async with database.write({ACT: act()}) as session:
        session.add(membership)
    async with database.write({ACT: act()}) as session:
        await session.delete(await session.merge(membership))
    joined, left = await events(database)
    assert (joined.subject_type, joined.subject_id) == ("Group", str(team.id))
    assert changes(joined) == {"members": (None, str(one.id))}
    assert changes(left) == {"members": (str(one.id), None)}


async def test_a_session_without_an_act_writes_no_events(database: Database) -> None:
    await save(database, connector())
    assert await events(database) == []


async def test_long_values_and_values_that_cannot_be_stored_do_not_keep_a_deed_from_being_told(
    database: Database,
) -> None:
    doing = Act(Caller(None, "r" * 300, "a" * 300, "b\0" * 600), "x" * 300)
    async with database.write({ACT: doing}) as session:
        session.add(connector(name="c", body="y" * 9_000))
    (event,) = await events(database)
    assert len(changes(event)["body"][1]) == 501
    assert event.agent == "b" * 500


def test_every_entity_says_how_the_audit_sees_it() -> None:
    entities = {mapper.class_ for mapper in SQLModel._sa_registry.mappers}
    ours = {kind for kind in entities if kind.__module__.startswith("domain.")}
    assert ours == set(SUBJECTS) | BOOKKEEPING
