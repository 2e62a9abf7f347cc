"""Examines an installation: what is wrong with it and how to mend it."""

import asyncio
import os
import resource
import secrets
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from alembic.util.exc import CommandError

from infra.mail.mailers import mailer_of
from infra.mail.outbox import FileOutbox
from infra.mail.smtp import ENCRYPTED, LOOPBACK
from infra.postgres import roles
from infra.postgres.data_directory import DataDirectoryInUse
from infra.postgres.database import connector
from infra.postgres.embedded import CannotStart, EmbeddedPostgres, running_url
from infra.postgres.migrate import status
from infra.realtime.bus import Bus
from infra.redaction import hide_named
from infra.security.keys import KEY_FILE, KeyFile, read_key
from infra.security.sealed import SEALED, SealedColumn
from infra.security.vault import KeyVault
from infra.settings import Settings, unknown_variables
from infra.startup import CannotRun, listen, require_database
from infra.system import SystemClock
from infra.web.trusted import InvalidDocuments, read_documents

FREE_BYTES = 1024**3
OPEN_FILES = 4_096
CLOCK_SECONDS = 1.0
BUS_SECONDS = 5.0
HEALTH_SECONDS = 2.0
HEALTHY = {"status": "alive"}
_SEALED = """
    select {column.key} as key, {column.label} as label, {column.column} as sealed from {column.table}
    where {column.column} is not null order by {column.key} limit $1
"""
OPENED_AT_MOST = 1_000


class State(Enum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `mend` says what to do about it, None when nothing need be done."""

    check: str
    state: State
    found: str
    mend: str | None = None


@dataclass(slots=True)
class Patient:
    """What is examined: the settings, and the database's URL once it could be reached."""

    settings: Settings
    database_url: str | None = None
    migrated: bool = False


async def examine(settings: Settings) -> list[Finding]:
    """Run every check, one after the other; starts the embedded database for as long when it is not running."""
    findings = _configuration(settings) + _documents(settings) + _directory(settings.data_dir)
    async with _database(settings) as (patient, reached):
        findings += reached
        for check in (_schema, _roles, _keys, _clock, _bus, _mail, _port, _open_files):
            try:
                findings += await check(patient)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                name, mend = check.__name__.strip("_"), "see whether the database still runs"
                findings.append(Finding(name, State.FAIL, hide_named(str(error)), mend))
    return findings


def _ok(check: str, found: str) -> Finding:
    return Finding(check, State.OK, found)


def _configuration(settings: Settings) -> list[Finding]:
    check = "configuration"
    unknown = [
        Finding(check, State.WARN, line, "remove or correct it") for line in unknown_variables()
    ]
    shared = settings.database_url is not None
    if shared and settings.bus_url.get_secret_value().startswith("memory:"):
        unknown.append(
            Finding(
                check,
                State.WARN,
                "the bus is in memory: what another process stores is seen a second late",
                "set PENSTOCK_BUS_URL=redis://... unless `penstock up` runs everything in one process",
            )
        )
    return unknown or [_ok(check, "every setting is valid")]


def _documents(settings: Settings) -> list[Finding]:
    check, path = "trusted documents", settings.trusted_documents
    if path is None:
        return []
    try:
        count = len(read_documents(path))
    except InvalidDocuments as problem:
        mend = "write it with graphql-codegen (persistedDocuments), or correct PENSTOCK_TRUSTED_DOCUMENTS"
        return [Finding(check, State.FAIL, str(problem), mend)]
    served = "and nothing else is served" if settings.trusted_documents_only else "others too"
    return [_ok(check, f"{count} in {path}, {served}")]


def _directory(directory: Path) -> list[Finding]:
    check, place = "data directory", directory.expanduser().absolute()
    existing = next(path for path in (place, *place.parents) if path.exists())
    if not existing.is_dir():
        return [Finding(check, State.FAIL, f"{existing} is a file", "choose another --data-dir")]
    if not os.access(existing, os.W_OK | os.X_OK):
        return [
            Finding(
                check,
                State.FAIL,
                f"{existing} cannot be written by this user",
                f"chown it to user {os.geteuid()}, or choose another --data-dir",
            )
        ]
    findings = []
    if existing == place and stat.S_IMODE(place.stat().st_mode) & 0o066:
        findings.append(
            Finding(check, State.WARN, f"{place} is open to other users", f"chmod 700 {place}")
        )
    free = shutil.disk_usage(existing).free
    if free < FREE_BYTES:
        mend = "free some, or lower PENSTOCK_RETENTION_DAYS"
        findings.append(Finding(check, State.WARN, f"{free / 1024**2:,.0f} MiB are free", mend))
    return findings or [_ok(check, f"{place}, {free / 1024**3:,.0f} GiB free")]


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[tuple[Patient, list[Finding]]]:
    patient, check = Patient(settings), "database"
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        yield patient, await _reach(patient, url, "PostgreSQL")
        return
    if not (settings.data_dir.expanduser() / "postgres").exists():
        yield patient, [_ok(check, "embedded, made by the first `penstock up`")]
        return
    server = EmbeddedPostgres(settings.data_dir)
    try:
        url = await server.start()
    except DataDirectoryInUse as error:
        running = running_url(settings.data_dir)
        if running is None:
            found = f"embedded, begun or ended by process {error.pid} just now"
            yield patient, [Finding(check, State.WARN, found, "try again in a few seconds")]
        else:
            yield patient, await _reach(patient, running, "the running embedded PostgreSQL")
        return
    except (CannotStart, OSError) as error:
        mend = f"see {server.log}; restore a backup, or move the directory away to begin anew"
        yield patient, [Finding(check, State.FAIL, hide_named(str(error)), mend)]
        return
    try:
        yield patient, await _reach(patient, url, "embedded PostgreSQL")
    finally:
        await server.stop()


async def _reach(patient: Patient, url: str, name: str) -> list[Finding]:
    check = "database"
    try:
        version = await require_database(url)
        async with _connection(url) as connection:
            await connection.execute("create temporary table penstock_doctor (id int)")
            refused = await connection.fetchval("show default_transaction_read_only") == "on"
    except CannotRun as error:
        mend = "start the server, or correct PENSTOCK_DATABASE_URL"
        return [Finding(check, State.FAIL, hide_named(str(error)), mend)]
    except (asyncpg.PostgresError, OSError) as error:
        mend = "grant this user the database: grant all on database ... to ..."
        return [Finding(check, State.FAIL, f"cannot write: {hide_named(str(error))}", mend)]
    if refused:
        return [Finding(check, State.FAIL, "read-only", "connect to the primary, not to a replica")]
    patient.database_url = url
    return [_ok(check, f"{name} {version} answers and can be written")]


async def _schema(patient: Patient) -> list[Finding]:
    check = "migrations"
    if patient.database_url is None:
        return []
    try:
        found = await status(patient.database_url)
    except CommandError as error:
        mend = "run the version of Penstock that wrote this database"
        return [Finding(check, State.FAIL, hide_named(str(error)), mend)]
    if found.pending:
        names = ", ".join(found.pending)
        return [Finding(check, State.FAIL, f"pending: {names}", "penstock migrate up")]
    patient.migrated = True
    return [_ok(check, f"at {found.current}, the newest")]


async def _roles(patient: Patient) -> list[Finding]:
    check = "database roles"
    if patient.database_url is None or not patient.migrated:
        return []
    async with _connection(patient.database_url) as connection:
        lacking, strong = await roles.missing(connection), await roles.too_strong(connection)
        login = await connection.fetchval("select session_user")
    if lacking:
        found = f"{login} may not act as {', '.join(lacking)}"
        return [Finding(check, State.FAIL, found, f"as a superuser: {roles.advice(login)}")]
    if strong:
        found = f"{', '.join(strong)} may sign in, pass row-level security or act as another role"
        mend = f"as a superuser: {roles.curbing(strong)} and revoke what they are members of"
        return [Finding(check, State.FAIL, found, mend)]
    return [_ok(check, f"{login} may act as {', '.join(roles.ROLES)}")]


async def _keys(patient: Patient) -> list[Finding]:
    check, path = "encryption keys", patient.settings.data_dir.expanduser() / KEY_FILE
    if patient.settings.encryption_keys:
        keys = [read_key(key.get_secret_value()) for key in patient.settings.encryption_keys]
    elif not path.exists():
        return [_ok(check, "a key file, made by the first `penstock up`")]
    else:
        try:
            keys = [*KeyFile(path.parent)()]
        except PermissionError as error:
            return [Finding(check, State.FAIL, str(error), f"chmod 600 {path}")]
        except ValueError as error:
            return [Finding(check, State.FAIL, str(error), f"restore {path} from a backup")]
    if patient.database_url is None or not patient.migrated:
        return [_ok(check, f"{len(keys)} usable")]
    return await _open_stored(KeyVault(keys), patient.database_url)


async def _open_stored(vault: KeyVault, url: str) -> list[Finding]:
    check = "encryption keys"
    lost: list[str] = []
    opened = old = 0
    async with _connection(url) as connection:
        for column in SEALED:
            for row in await connection.fetch(_SEALED.format(column=column), OPENED_AT_MOST):
                if _opens(vault, column, row):
                    opened += 1
                    old += not vault.is_current(row["sealed"])
                else:
                    lost.append(f"{row['label']} ({column.table})")
    if lost:
        names = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
        return [
            Finding(
                check,
                State.FAIL,
                f"the secrets of {len(lost)} rows cannot be opened: {names}",
                "add the key they were sealed with to PENSTOCK_ENCRYPTION_KEYS, after the newest, "
                "or set their secrets again",
            )
        ]
    note = f", {old} of them sealed with an older key: see `penstock keys rotate`" if old else ""
    return [_ok(check, f"open all {opened} stored secrets{note}")]


def _opens(vault: KeyVault, column: SealedColumn, row: asyncpg.Record) -> bool:
    try:
        vault.open(row["sealed"], column.associated(row["key"]))
    except ValueError:
        return False
    return True


async def _clock(patient: Patient) -> list[Finding]:
    check = "clock"
    if patient.database_url is None:
        return [
            _ok(check, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC; no database to compare with")
        ]
    async with _connection(patient.database_url) as connection:
        before = datetime.now(UTC)
        theirs: datetime = await connection.fetchval("select clock_timestamp()")
        after = datetime.now(UTC)
    apart = (theirs - (before + (after - before) / 2)).total_seconds()
    if abs(apart) > CLOCK_SECONDS:
        return [
            Finding(
                check,
                State.FAIL,
                f"the database's clock is {apart:+.1f} s from this machine's",
                "run an NTP client (chrony, systemd-timesyncd) on both",
            )
        ]
    return [_ok(check, f"{apart * 1000:+.0f} ms from the database's; times are kept in UTC")]


class _Text:
    def encode(self, message: Any) -> bytes:
        return str(message).encode()

    def decode(self, payload: bytes) -> Any:
        return payload.decode()


async def _bus(patient: Patient) -> list[Finding]:
    check, url = "bus", patient.settings.bus_url.get_secret_value()
    channel, sent = f"penstock.doctor.{secrets.token_hex(8)}", secrets.token_hex(16)
    heard = asyncio.Event()
    bus = Bus(url, {channel: _Text()})
    bus.receive(channel, lambda message: heard.set() if message == sent else None)
    kind = url.partition(":")[0]
    try:
        async with asyncio.timeout(BUS_SECONDS):
            await bus.start()
            await bus.publish(channel, sent)
            await heard.wait()
    except (OSError, TimeoutError):
        found = f"a message sent over the {kind} bus did not come back within {BUS_SECONDS:.0f} s"
        return [Finding(check, State.FAIL, found, "start it, or correct PENSTOCK_BUS_URL")]
    finally:
        await bus.stop()
    return [_ok(check, f"a message sent over the {kind} bus came back")]


async def _mail(patient: Patient) -> list[Finding]:
    check = "mail"
    mailer = mailer_of(patient.settings, SystemClock())
    if isinstance(mailer, FileOutbox):
        return [_ok(check, f"written to {mailer.directory}; PENSTOCK_SMTP_URL names a server")]
    try:
        how = await mailer.check()
    except ConnectionError as error:
        found = f"{mailer.server.place}: {error}"
        return [Finding(check, State.FAIL, found, "start it, or correct PENSTOCK_SMTP_URL")]
    if how != ENCRYPTED and mailer.server.host not in LOOPBACK:
        found = f"{mailer.server.place} answers, but mails go there unencrypted"
        return [Finding(check, State.WARN, found, "use smtps://, or have it offer STARTTLS")]
    return [_ok(check, f"{mailer.server.place} answers, {how}")]


async def _port(patient: Patient) -> list[Finding]:
    check, settings = "address", patient.settings
    try:
        listen(settings.host, settings.port).close()
    except CannotRun as error:
        if await _is_penstock(settings.host, settings.port):
            return [_ok(check, f"{settings.host}:{settings.port}, where Penstock runs")]
        mend = "stop what listens there, or choose another --host or --port"
        return [Finding(check, State.WARN, str(error).partition(";")[0], mend)]
    return [_ok(check, f"{settings.host}:{settings.port} is free")]


async def _is_penstock(host: str, port: int) -> bool:
    """Whether who listens there answers as this service does."""
    there = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    url = httpx.URL(scheme="http", host=there, port=port, path="/healthz")
    try:
        async with httpx.AsyncClient(timeout=HEALTH_SECONDS, trust_env=False) as http:
            answer = await http.get(url)
            return answer.status_code == httpx.codes.OK and answer.json() == HEALTHY
    except (httpx.HTTPError, ValueError):
        return False


async def _open_files(_: Patient) -> list[Finding]:
    check = "open files"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES:
        return [_ok(check, "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,} allowed")]
    return [
        Finding(
            check,
            State.WARN,
            f"{soft:,} allowed: each client needs one",
            f"ulimit -n {min(hard, 65_536) if hard > 0 else 65_536}, or LimitNOFILE= of systemd",
        )
    ]


@asynccontextmanager
async def _connection(url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await connector(
        url, statement_timeout_seconds=10, application_name="penstock doctor"
    )()
    try:
        yield connection
    finally:
        await connection.close(timeout=5)
