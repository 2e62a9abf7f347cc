import asyncio
import base64
import json
import os
import resource
import socket
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
import uvicorn
from starlette.routing import Route, Router

from infra import doctor
from infra.commands.examination import examined, show
from infra.doctor import Finding, State, examine
from infra.postgres.embedded import EmbeddedPostgres
from infra.security.keys import KEY_FILE, new_key, read_key
from infra.security.vault import KeyVault
from infra.settings import Settings, load_settings
from infra.web.health import Health
from tests.cluster import run
from tests.factories import HOME_WORKSPACE_ID, new_id
from tests.infra.mail.postbox import receiving

PASSWORD = "hunter2-hunter2"


def made(directory: Path, **options: Any) -> Settings:
    return load_settings(**{"data_dir": directory / "data", "port": 0, **options})


def of(findings: Sequence[Finding], check: str) -> Finding:
    [finding] = [finding for finding in findings if finding.check == check]
    return finding


async def execute(url: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def add_connector(url: str, id: UUID, name: str, sealed: bytes | None) -> None:
    columns = await rows(
        url,
        "select column_name, data_type from information_schema.columns "
        "where table_name = 'connectors' and is_nullable = 'NO' and column_default is null",
    )
    known: dict[str, object] = {
        "id": id,
        "workspace_id": HOME_WORKSPACE_ID,
        "name": name,
        "url": "wss://stream.binance.com/ws",
        "protocol": "websocket",
        "venue": "binance",
        "method": "GET",
        "auth_type": "none",
    }
    filler: dict[str, object] = {
        "boolean": False,
        "integer": 1,
        "bigint": 1,
        "json": "[]",
        "timestamp with time zone": datetime.now(UTC),
    }
    values = {
        row["column_name"]: known.get(row["column_name"], filler.get(row["data_type"]))
        for row in columns
    }
    values["sealed"] = sealed
    marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await execute(
        url, f"insert into connectors ({', '.join(values)}) values ({marks})", *values.values()
    )


async def rows(url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_a_fresh_machine_is_well_and_the_doctor_leaves_no_trace(tmp_path: Path) -> None:
    findings = await examine(made(tmp_path))
    assert [finding for finding in findings if finding.state is State.FAIL] == []
    assert not (tmp_path / "data").exists()
    assert of(findings, "bus").found == "a message sent over the memory bus came back"


async def test_a_migrated_database_is_well(tmp_path: Path, database_url: str) -> None:
    findings = await examine(made(tmp_path, database_url=database_url))
    assert "answers and can be written" in of(findings, "database").found
    assert of(findings, "migrations").state is State.OK
    assert of(findings, "clock").state is State.OK
    assert of(findings, "database roles").state is State.OK


async def test_a_user_who_may_not_take_the_roles_on_is_told_what_to_run(
    tmp_path: Path, database_url: str
) -> None:
    login = f"plain_{new_id().hex}"
    await run(
        database_url, f"create role {login} login; grant select on alembic_version to {login}"
    )
    await run(
        database_url, f"grant temporary on database {urlsplit(database_url).path[1:]} to {login}"
    )
    try:
        url = database_url.replace("://postgres@", f"://{login}@")
        finding = of(await examine(made(tmp_path, database_url=url)), "database roles")
    finally:
        await run(database_url, f"drop owned by {login}; drop role {login}")
    assert finding.state is State.FAIL
    assert f'GRANT penstock_api, penstock_accounts, penstock_ingest TO "{login}"' in str(
        finding.mend
    )


async def test_an_embedded_database_is_started_for_the_examination(place: Path) -> None:
    settings = made(place)
    async with EmbeddedPostgres(settings.data_dir):
        running = await examine(settings)
    assert of(running, "database").found.startswith("the running embedded PostgreSQL 18 answers")
    assert of(running, "migrations").mend == "penstock migrate up"
    stopped = await examine(settings)
    assert of(stopped, "database").found.startswith("embedded PostgreSQL 18 answers")
    assert of(stopped, "migrations").mend == "penstock migrate up"


async def test_pending_migrations_fail_with_the_command_that_applies_them(
    tmp_path: Path, empty_database_url: str
) -> None:
    findings = await examine(made(tmp_path, database_url=empty_database_url))
    assert of(findings, "migrations").state is State.FAIL
    assert of(findings, "migrations").mend == "penstock migrate up"


async def test_a_database_that_is_not_there_fails_without_showing_the_password(
    tmp_path: Path,
) -> None:
    findings = await examine(
        made(tmp_path, database_url=f"postgresql://u:{PASSWORD}@127.0.0.1:1/x")
    )
    assert of(findings, "database").state is State.FAIL
    assert "cannot be reached" in of(findings, "database").found
    assert PASSWORD not in repr(findings)


async def test_a_database_that_does_not_exist_is_told_from_one_that_cannot_be_reached(
    tmp_path: Path, database_url: str
) -> None:
    url = database_url.replace("penstock_", "no_such_database_")
    findings = await examine(made(tmp_path, database_url=url))
    assert "does not exist" in of(findings, "database").found


async def test_a_read_only_database_fails(tmp_path: Path, database_url: str) -> None:
    [row] = await rows(database_url, "select current_database() as name")
    await execute(
        database_url, f'alter database "{row["name"]}" set default_transaction_read_only = on'
    )
    findings = await examine(made(tmp_path, database_url=database_url))
    assert of(findings, "database").state is State.FAIL
    assert "read-only" in of(findings, "database").found


def test_what_is_wrong_with_a_key_is_told_in_full(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_ENCRYPTION_KEYS", PASSWORD)
    assert not show(examined({}))
    said = capsys.readouterr().out
    assert "PENSTOCK_ENCRYPTION_KEYS: key 1: an encryption key must be" in said
    assert PASSWORD not in said


async def test_secrets_sealed_with_a_lost_key_are_named(tmp_path: Path, database_url: str) -> None:
    lost, kept = new_key(), new_key()
    good, bad = UUID(int=1), UUID(int=2)
    await add_connector(database_url, good, "good", seal(kept, good))
    await add_connector(database_url, bad, "bad", seal(lost, bad))
    await add_connector(database_url, UUID(int=3), "without", None)
    findings = await examine(made(tmp_path, database_url=database_url, encryption_keys=kept))
    assert of(findings, "encryption keys").state is State.FAIL
    assert of(findings, "encryption keys").found.endswith(
        "of 1 rows cannot be opened: bad (connectors)"
    )
    findings = await examine(
        made(tmp_path, database_url=database_url, encryption_keys=f"{kept},{lost}")
    )
    assert of(findings, "encryption keys").state is State.OK
    assert "1 of them sealed with an older key" in of(findings, "encryption keys").found


def seal(key: str, id: UUID) -> bytes:
    return KeyVault([read_key(key)]).seal(b"{}", id.bytes)


async def test_a_key_file_that_others_can_read_fails(tmp_path: Path) -> None:
    settings = made(tmp_path)
    settings.data_dir.mkdir(mode=0o700)
    file = settings.data_dir / KEY_FILE
    file.write_text(new_key())
    file.chmod(0o644)
    finding = of(await examine(settings), "encryption keys")
    assert (finding.state, finding.mend) == (State.FAIL, f"chmod 600 {file}")
    file.chmod(0o600)
    assert of(await examine(settings), "encryption keys").state is State.OK
    file.write_text(base64.b64encode(b"short").decode())
    assert of(await examine(settings), "encryption keys").state is State.FAIL


async def test_trusted_documents_are_read(tmp_path: Path) -> None:
    path = tmp_path / "documents.json"
    path.write_text('{"abc": "{ __typename }"}')
    settings = made(tmp_path, trusted_documents=path)
    finding = of(await examine(settings), "trusted documents")
    assert (finding.state, finding.found) == (State.OK, f"1 in {path}, others too")
    path.write_text('{"abc": "{"}')
    finding = of(await examine(settings), "trusted documents")
    assert finding.state is State.FAIL
    assert "abc does not parse" in finding.found


async def test_a_data_directory_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    finding = of(await examine(made(tmp_path)), "data directory")
    assert finding.state is State.FAIL


async def test_a_data_directory_open_to_others_is_warned_about(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(0o755)
    finding = of(await examine(made(tmp_path)), "data directory")
    assert (finding.state, finding.mend) == (State.WARN, f"chmod 700 {directory}")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755


async def test_an_address_in_use_is_warned_about(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        finding = of(await examine(made(tmp_path, port=listener.getsockname()[1])), "address")
    assert finding.state is State.WARN
    assert "is in use by another process" in finding.found


async def test_an_address_where_penstock_itself_answers_is_well(tmp_path: Path) -> None:
    app = Router([Route("/healthz", Health({}).healthz)])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        running = asyncio.create_task(server.serve([listener]))
        port = listener.getsockname()[1]
        finding = of(await examine(made(tmp_path, port=port)), "address")
        server.should_exit = True
        await running
    assert finding.state is State.OK
    assert finding.found == f"127.0.0.1:{port}, where Penstock runs"


async def test_a_bus_that_does_not_answer_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "BUS_SECONDS", 0.5)
    finding = of(await examine(made(tmp_path, bus_url="redis://127.0.0.1:1/0")), "bus")
    assert finding.state is State.FAIL
    assert finding.mend == "start it, or correct PENSTOCK_BUS_URL"


async def test_the_outbox_is_shown_and_a_mail_server_is_spoken_to(tmp_path: Path) -> None:
    finding = of(await examine(made(tmp_path)), "mail")
    assert finding.found.startswith(f"written to {tmp_path / 'data' / 'outbox'};")
    async with receiving() as box:
        url = f"smtp://127.0.0.1:{box.port}"
        well = of(await examine(made(tmp_path, smtp_url=url)), "mail")
    assert (well.state, box.mails) == (State.OK, [])
    assert well.found == f"127.0.0.1:{box.port} answers, not encrypted"
    ill = of(await examine(made(tmp_path, smtp_url="smtp://u:hunter2-hunter2@127.0.0.1:1")), "mail")
    assert (ill.state, ill.mend) == (State.FAIL, "start it, or correct PENSTOCK_SMTP_URL")
    assert PASSWORD not in ill.found


async def test_few_open_files_are_warned_about(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, hard))
    try:
        finding = of(await examine(made(tmp_path)), "open files")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert finding.state is State.WARN


async def test_a_memory_bus_beside_a_shared_database_is_warned_about(
    tmp_path: Path, database_url: str
) -> None:
    finding = of(await examine(made(tmp_path, database_url=database_url)), "configuration")
    assert finding.state is State.WARN
    assert "redis://" in str(finding.mend)


def test_settings_that_cannot_be_used_are_findings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_PORT", "x")
    monkeypatch.setenv("PENSTOCK_DATABASE_URL", f"mysql://u:{PASSWORD}@h")
    assert not show(examined({}), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [(item["check"], item["state"]) for item in told] == [("configuration", "fail")] * 2
    assert PASSWORD not in json.dumps(told)


def test_people_are_shown_what_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    assert show([Finding("a", State.OK, "fine"), Finding("b", State.WARN, "[odd]", "do this")])
    assert capsys.readouterr().out.splitlines() == [
        "ok    a: fine",
        "warn  b: [odd]",
        "      mend: do this",
    ]
    assert not show([Finding("a", State.FAIL, "bad", "mend")])


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
