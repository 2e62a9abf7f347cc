"""What `penstock keys` does."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from domain.audit import Deed
from domain.identity import Act, Caller
from infra.commands import database
from infra.console import errors, output
from infra.keyring import key_file_of, vault_of
from infra.postgres.audit_log import PostgresAuditLog
from infra.postgres.database import Database, connector
from infra.postgres.resealing import SealedCount, counted, resealed
from infra.postgres.roles import ACCOUNTS
from infra.postgres.tenancy import Tenancy
from infra.security.sealed import SEALED
from infra.security.tokens import access_tokens
from infra.security.vault import KeyVault
from infra.settings import Settings
from infra.startup import CannotRun
from infra.system import RandomIds, SystemClock

ROUNDS = 5
_LOCK = 0x70656E6B6579
_SOURCE = "PENSTOCK_ENCRYPTION_KEYS"


@dataclass(slots=True)
class Answer:
    """Whether every stored secret can be opened."""

    good: bool = True


@dataclass(slots=True)
class _Tally:
    """What a rotation has done."""

    changed: int = 0
    unopened: int = 0


async def status(settings: Settings, answer: Answer) -> None:
    """Print how many stored values each key seals, by table; no value is opened."""
    vault = vault_of(settings)
    async with database.beside(settings) as url, _connected(url) as connection:
        counts = await counted(connection, SEALED)
    known = vault.key_ids
    used: set[str | None] = {count.key_id for count in counts}
    for number, key_id in enumerate(known):
        _show(key_id, "newest" if number == 0 else "older", counts)
    for missing in sorted(used - {*known}, key=str):
        answer.good = False
        _show(missing, "MISSING" if missing else "no key", counts)
    left = _left(counts, vault)
    if left:
        _say(f"{left} are not under the newest key: run `penstock keys rotate`")


async def rotate(settings: Settings, answer: Answer) -> None:
    """Bring every sealed value under a new key; one that was interrupted is gone on with."""
    vault = vault_of(settings)
    async with database.beside(settings) as url, _connected(url) as connection:
        if not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
            raise CannotRun("another `penstock keys rotate` is running")
        await _begin(connection, settings, vault)
        tally = _Tally()
        try:
            await _reseal(connection, vault, tally)
        except asyncio.CancelledError:
            _say(f"Interrupted after {tally.changed}; run it again to go on")
            raise
        answer.good = tally.unopened == 0
        counts = await counted(connection, SEALED)
        await _finish(settings, url, vault, tally.changed)
    _tell(settings, tally, _left(counts, vault), vault)


async def _begin(
    connection: "asyncpg.Connection[asyncpg.Record]", settings: Settings, vault: KeyVault
) -> None:
    """Have a newest key under which not everything is yet; raises CannotRun where only the operator can add one."""
    counts = await counted(connection, SEALED)
    newest, older = vault.key_ids[0], set(vault.key_ids[1:])
    if any(count.key_id in older for count in counts):
        _say(f"Going on with the rotation to key {newest}")
    elif not settings.encryption_keys:
        key_file_of(settings).add()
        _say(f"Rotating from key {newest} to key {vault.key_ids[0]}")
    elif not _left(counts, vault):
        raise CannotRun(
            f"everything is sealed with the first key of {_SOURCE}: put a new one, of `penstock keys generate`,"
            " before it, start every process anew with both, and rotate again"
        )


async def _reseal(
    connection: "asyncpg.Connection[asyncpg.Record]", vault: KeyVault, tally: _Tally
) -> None:
    """Go through all columns until nothing is left that can be opened, or what is left does not get less."""
    with _progress() as progress:
        for _ in range(ROUNDS):
            left = _left(await counted(connection, SEALED), vault)
            if not left:
                return
            task = progress.add_task("Sealing", total=left)
            tally.unopened, before = 0, tally.changed
            for column in SEALED:
                progress.update(task, description=f"Sealing {column}")
                async for batch in resealed(connection, vault, column):
                    tally.changed += batch.changed
                    tally.unopened += len(batch.unopened)
                    progress.advance(task, batch.read)
                    for key in batch.unopened:
                        errors.print(
                            f"{column} of {key} cannot be opened", markup=False, soft_wrap=True
                        )
            progress.remove_task(task)
            if tally.changed == before:
                return


async def _finish(settings: Settings, url: str, vault: KeyVault, changed: int) -> None:
    """Have access tokens signed with a new key as well, and the rotation written down."""
    clock = SystemClock()
    async with Database(url, pool_size=2, role=ACCOUNTS) as accounts:
        tokens = access_tokens(settings, accounts, vault, clock, RandomIds(), issuer="")
        kid = await tokens.rotate()
        act = Act(Caller(None, "penstock keys rotate"), "rotateKeys")
        facts = {"key": vault.key_ids[0], "values": changed, "signingKey": kid}
        audit = PostgresAuditLog(Tenancy(accounts, accounts), clock)
        await audit.write(act, Deed("rotateKeys", facts=facts))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await connector(url, application_name="penstock keys")()
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


def _left(counts: Sequence[SealedCount], vault: KeyVault) -> int:
    newest = vault.key_ids[0]
    return sum(count.count for count in counts if count.key_id != newest or not count.envelope)


def _show(key_id: str | None, state: str, counts: Sequence[SealedCount]) -> None:
    values = Counter[str]()
    for count in counts:
        if count.key_id == key_id:
            values[count.column.table] += count.count
    places = ", ".join(f"{table} {number}" for table, number in sorted(values.items()))
    _say(f"{key_id or '-' * 16}  {state:<7}  {values.total()} values: {places or 'none'}")


def _tell(settings: Settings, tally: _Tally, left: int, vault: KeyVault) -> None:
    _say(f"{tally.changed} values are now sealed with key {vault.key_ids[0]}")
    if tally.unopened:
        _say(
            f"{tally.unopened} cannot be opened with any key there is; `penstock keys status` counts them"
        )
    elif left:
        _say(f"{left} were sealed with an older key meanwhile: run it again")
    place = _SOURCE if settings.encryption_keys else str(key_file_of(settings).path)
    _say(f"Older keys stay in {place}: remove them once no backup needs them")


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)


def _say(line: str) -> None:
    output.print(line, markup=False, soft_wrap=True)
