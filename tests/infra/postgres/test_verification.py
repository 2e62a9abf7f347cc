"""Whoever edits, removes, inserts or reorders events of the audit is found out, without the database's own word."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.audit import ACCOUNTS_CHAIN, SEALED, Deed, record, seal, sealed_text
from domain.identity import Act, Caller
from infra.postgres.auditing import ACT
from infra.postgres.database import Database
from infra.postgres.verification import Chain, Head, Tampering, verify
from tests.factories import HOME_WORKSPACE_ID, new_id, save, workspace

EDITED, REMOVED, INSERTED = Tampering.EDITED, Tampering.REMOVED, Tampering.INSERTED
_QUIET = "set local session_replication_role = replica;"


async def told(database: Database, count: int, chain: UUID | None = None, **facts: object) -> None:
    """`count` events, each in a transaction of its own."""
    for number in range(count):
        async with database.write({ACT: Act(Caller(None, f"request {number}"))}) as session:
            record(session, Deed(f"deed {number}", chain, "User", str(number), facts=facts))


async def examined(
    database: Database, chain: UUID | None = None, noted: dict[UUID, Head] | None = None
) -> Sequence[Chain]:
    async with database.acquire() as connection:
        return await verify(connection, chain, noted)


async def tamper(database: Database, *statements: str) -> None:
    """Change the audit as only a superuser can, behind its triggers."""
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(_QUIET + ";".join(statements))


def faults(chains: Sequence[Chain]) -> set[tuple[Tampering, int, int]]:
    return {(f.kind, f.first, f.last) for chain in chains for f in chain.faults}


async def test_chains_that_nobody_touched_are_whole(database: Database) -> None:
    await told(database, 3)
    await told(database, 2, HOME_WORKSPACE_ID)
    accounts, home = await examined(database)
    assert (accounts.id, accounts.events, accounts.faults) == (ACCOUNTS_CHAIN, 3, [])
    assert (home.id, home.events, home.head.sequence, home.faults) == (HOME_WORKSPACE_ID, 2, 2, [])
    assert [c.id for c in await examined(database, HOME_WORKSPACE_ID)] == [HOME_WORKSPACE_ID]


@pytest.mark.parametrize("column", [name for name in SEALED if name not in ("chain", "sequence")])
async def test_an_edited_event_shows_whichever_column_it_was(
    shared_database_url: str, column: str
) -> None:
    values = {
        "id": "gen_random_uuid()", "at": "at + interval '1 microsecond'", "outcome": "'failed'",
        "changes": "'[ ]'", "workspace_id": "null",
    }  # fmt: skip
    ids = ("user_id", "api_key_id", "session_id")
    value = values.get(column, "gen_random_uuid()" if column in ids else "'edited'")
    async with Database(shared_database_url, pool_size=2) as database:
        place = workspace()
        await save(database, place)
        await told(database, 3, place.id)
        await tamper(
            database,
            f"update audit_events set {column} = {value} where chain = '{place.id}' and sequence = 2",
        )
        assert faults(await examined(database, place.id)) == {(EDITED, 2, 2)}


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("delete from audit_events where sequence = 2", {(REMOVED, 2, 2)}),
        ("delete from audit_events where sequence in (1, 2)", {(REMOVED, 1, 2)}),
        ("delete from audit_events where sequence >= 4", {(REMOVED, 4, 5)}),
        ("delete from audit_events", {(REMOVED, 1, 5)}),
        ("delete from audit_chains", {(REMOVED, 5, 5)}),
        (
            "update audit_events set sequence = 9 - sequence where sequence in (4, 5)",
            {(EDITED, 4, 4), (EDITED, 5, 5)},
        ),
        (
            "insert into audit_events select gen_random_uuid(), chain, 6, at, workspace_id, user_id, api_key_id,"
            " session_id, action, outcome, code, subject_type, subject_id, changes, address, agent, request_id,"
            " hash, hash from audit_events where sequence = 5",
            {(EDITED, 6, 6)},
        ),
        (
            "delete from audit_events where sequence = 3;"
            " update audit_events set sequence = sequence - 1 where sequence > 3",
            {(EDITED, 3, 3), (EDITED, 4, 4), (REMOVED, 5, 5)},
        ),
    ],
)
async def test_removed_inserted_and_reordered_events_show(
    database: Database, statement: str, found: set[tuple[Tampering, int, int]]
) -> None:
    await told(database, 5)
    await tamper(
        database, "alter table audit_events drop constraint audit_events_sequence_key", statement
    )
    assert faults(await examined(database)) == found


async def test_a_seal_made_anew_shows_at_the_next_event_and_at_the_end(database: Database) -> None:
    await told(database, 3)
    anew = "hash = sha256(previous_hash || convert_to(penstock_audit_text(audit_events), 'UTF8'))"
    for sequence, seen in ((2, {(EDITED, 3, 3)}), (3, {(EDITED, 3, 3)})):
        await tamper(
            database,
            f"update audit_events set action = 'else' where sequence = {sequence}",
            f"update audit_events set {anew} where sequence = {sequence}",
        )
        assert faults(await examined(database)) == seen


async def test_a_chain_written_anew_with_its_end_shows_against_a_head_kept_elsewhere(
    database: Database,
) -> None:
    await told(database, 3)
    (chain,) = await examined(database)
    noted = {chain.id: chain.head}
    await told(database, 1)
    assert faults(await examined(database, noted=noted)) == set()
    await tamper(database, "delete from audit_events", "delete from audit_chains")
    assert faults(await examined(database)) == set()
    assert faults(await examined(database, noted=noted)) == {(REMOVED, 1, 3)}
    await told(database, 4, note="written anew")
    assert faults(await examined(database)) == set()
    assert faults(await examined(database, noted=noted)) == {(EDITED, 3, 3)}


async def test_pruning_takes_the_oldest_events_and_leaves_a_chain_that_can_be_verified(
    database: Database,
) -> None:
    await told(database, 4)
    (chain,) = await examined(database)
    async with database.acquire() as connection:
        moments = await connection.fetch("select at from audit_events order by sequence")
        pruned = await connection.fetchval("select penstock_prune_audit($1)", moments[2]["at"])
    (pruned_chain,) = await examined(database, noted={chain.id: chain.head})
    assert (pruned, pruned_chain.events, pruned_chain.faults) == (2, 2, [])
    assert pruned_chain.anchor.sequence == 2
    await told(database, 1)
    await tamper(database, "delete from audit_events where sequence = 3")
    assert faults(await examined(database)) == {(REMOVED, 3, 3)}


@pytest.mark.parametrize(
    "statement",
    ["update audit_events set action = 'x'", "delete from audit_events", "truncate audit_events"],
)
async def test_not_even_the_owner_changes_the_audit_by_accident(
    database: Database, statement: str
) -> None:
    await told(database, 1)
    async with database.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
_value = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | _text


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(action="", agent="", facts={"limit": float("inf")})
@given(action=_text, agent=_text, facts=st.dictionaries(_text, _value, max_size=3))
async def test_the_database_and_the_verifier_agree_on_the_text_of_any_event(
    shared_database_url: str, action: str, agent: str, facts: dict[str, object]
) -> None:
    chain, id = new_id(), Caller(None, "r", None, agent)
    async with Database(shared_database_url, pool_size=1) as database:
        async with database.write({ACT: Act(id)}) as session:
            record(session, Deed(action, chain, facts=facts))
        async with database.acquire() as connection:
            event = dict(
                await connection.fetchrow("select * from audit_events where chain = $1", chain)
                or {}
            )
        assert seal(event["previous_hash"], sealed_text(event)) == event["hash"]
        assert (event["action"], event["agent"]) == (action, agent)
