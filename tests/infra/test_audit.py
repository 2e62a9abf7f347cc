"""The audit as operators and clients of a running service have it."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from domain.audit import ACCOUNTS_CHAIN, Deed, record
from domain.identity import Act, Caller
from infra.postgres.auditing import ACT
from infra.postgres.database import Database
from resolvers import ids
from tests.infra.test_cli import penstock
from tests.service import Service

EVENTS = """query($filter: AuditEventFilter) { viewer { workspace { id } }
  auditEvents(filter: $filter, first: 1) { edges { node {
    action outcome subjectId address agent requestId hash sequence actor { userId } } } } }"""


async def told(database: Database, *actions: str) -> None:
    for action in actions:
        async with database.write({ACT: Act(Caller(None, "request"))}) as session:
            record(session, Deed(action))


async def test_what_a_client_does_is_told_with_its_origin_and_verified_from_outside(
    service: Service, shared_database_url: str, tmp_path: Path
) -> None:
    async with httpx.AsyncClient(headers={**service.credential, "user-agent": "Desk/7"}) as client:
        answer = await client.post(
            f"{service.url}/graphql",
            json={
                "query": 'mutation { updateWorkspace(input: {location: "Porto"}) { ... on Workspace { id } } }'
            },
        )
    id = answer.json()["data"]["updateWorkspace"]["id"]
    data = await service.ask(EVENTS, {"filter": {"subjectId": id}})
    (event,) = [edge["node"] for edge in data["auditEvents"]["edges"]]
    assert (event["action"], event["outcome"], event["subjectId"]) == (
        "updateWorkspace",
        "DONE",
        id,
    )
    assert (event["address"], event["agent"]) == ("127.0.0.1", "Desk/7")
    assert event["requestId"] == answer.headers["x-request-id"]
    assert event["actor"]["userId"] is not None

    workspace_id = ids.uuid_in(data["viewer"]["workspace"]["id"], "Workspace")
    done = penstock(
        "audit", "verify", "--workspace", str(workspace_id), "--json",
        PENSTOCK_DATABASE_URL=shared_database_url, PENSTOCK_DATA_DIR=str(tmp_path),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    (chain,) = json.loads(done.stdout)
    assert (UUID(chain["chain"]), chain["faults"]) == (workspace_id, [])
    assert chain["sequence"] >= event["sequence"]


async def test_verifying_says_what_was_done_to_which_event_and_fails(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await told(database, "one", "two", "three")
    settings: dict[str, Any] = {
        "PENSTOCK_DATABASE_URL": database_url,
        "PENSTOCK_DATA_DIR": str(tmp_path),
    }
    whole = penstock("audit", "verify", **settings)
    assert (whole.returncode, whole.stdout.split(";")[0]) == (0, "whole  accounts: 3 events")
    heads = tmp_path / "heads.json"
    heads.write_text(penstock("audit", "verify", "--json", **settings).stdout)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(
            "set local session_replication_role = replica;"
            " update audit_events set action = 'else' where sequence = 2"
        )
        id = await connection.fetchval("select id from audit_events where sequence = 2")
    broken = penstock("audit", "verify", **settings)
    assert broken.returncode == 1
    assert "BROKEN  accounts: 3 events" in broken.stdout
    assert f"event 2 ({id}) edited: its seal does not fit it" in broken.stdout
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(
            "set local session_replication_role = replica;"
            " delete from audit_events; delete from audit_chains"
        )
    await told(database, "a", "whole", "new", "chain")
    assert penstock("audit", "verify", **settings).returncode == 0
    noted = penstock("audit", "verify", "--against", str(heads), **settings)
    assert noted.returncode == 1
    assert "edited: it is not as it was noted earlier" in noted.stdout
    assert str(ACCOUNTS_CHAIN) in heads.read_text()


def test_notes_that_are_none_are_refused_in_one_line(tmp_path: Path) -> None:
    notes = tmp_path / "heads.json"
    notes.write_text("{}")
    done = penstock(
        "audit", "verify", "--against", str(notes), PENSTOCK_DATA_DIR=str(tmp_path / "data")
    )
    assert done.returncode == 3
    assert "is not what `penstock audit verify --json` prints" in done.stderr
    assert len(done.stderr.splitlines()) == 1
