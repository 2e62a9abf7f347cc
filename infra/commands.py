"""What the commands of `infra.cli` do, apart from it so that the command line itself loads fast."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import typer
from alembic.script.revision import RevisionError
from alembic.util.exc import CommandError

from infra import doctor, logs
from infra.console import errors, output, step
from infra.doctor import Finding, State
from infra.postgres import migrate
from infra.postgres.embedded import EmbeddedPostgres
from infra.settings import InvalidSettings, Settings, load_settings
from infra.startup import CannotRun, require_database

_STYLES = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


async def migrate_up(settings: Settings, revision: str) -> None:
    """Apply what is pending up to `revision`; raises CannotRun for a revision that is none."""
    async with _database(settings) as url:
        before = await migrate.status(url)
        with step("Migrating", "Migrated"), _known(revision):
            await migrate.upgrade(url, revision)
        _tell(before.current, (await migrate.status(url)).current)


async def migrate_down(settings: Settings, revision: str) -> None:
    """Go back to `revision`; raises CannotRun for one that is none."""
    async with _database(settings) as url:
        before = await migrate.status(url)
        if before.current is None:
            raise CannotRun("no migration is applied: there is nothing to undo")
        with step("Migrating back", "Migrated back"), _known(revision):
            await migrate.downgrade(url, revision)
        _tell(before.current, (await migrate.status(url)).current)


async def migrate_status(settings: Settings) -> None:
    """Print the database's revision, the newest and those pending."""
    async with _database(settings) as url:
        found = await migrate.status(url)
    typer.echo(f"current: {found.current or 'none'}")
    typer.echo(f"newest:  {found.head}")
    typer.echo(f"pending: {', '.join(found.pending) or 'none'}")


def examined(overrides: dict[str, Any]) -> list[Finding]:
    """What the doctor found; settings that cannot be used are findings too."""
    try:
        settings = load_settings(**overrides)
    except InvalidSettings as error:
        return [
            Finding("configuration", State.FAIL, problem, "correct the variable")
            for problem in error.problems
        ]
    logs.mask(*settings.secrets())
    logs.configure("WARNING", settings.log_format, settings.slow_operation_ms)
    with errors.status("Examining ..."):
        return asyncio.run(doctor.examine(settings))


def show(findings: Sequence[Finding], as_json: bool = False) -> bool:
    """Print findings, for people or as a JSON list; whether nothing failed (warnings do not count)."""
    if as_json:
        typer.echo(orjson.dumps(findings, option=orjson.OPT_INDENT_2).decode())
    for finding in [] if as_json else findings:
        style = _STYLES[finding.state]
        output.print(f"[{style}]{finding.state.value:<4}[/]  {finding.check}: ", end="")
        output.print(finding.found, markup=False, soft_wrap=True)
        if finding.mend is not None:
            output.print(f"      mend: {finding.mend}", markup=False, soft_wrap=True)
    return all(finding.state is not State.FAIL for finding in findings)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database, after its server answered; the embedded one is started for the block."""
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        await require_database(url)
        yield url
        return
    server = EmbeddedPostgres(settings.data_dir)
    with step("Starting PostgreSQL", "PostgreSQL started"):
        url = await server.start()
    try:
        yield url
    finally:
        await server.stop()


@contextmanager
def _known(revision: str) -> Iterator[None]:
    try:
        yield
    except (CommandError, RevisionError) as error:
        raise CannotRun(f"{revision}: {error}; see `penstock migrate status`") from None


def _tell(before: str | None, after: str | None) -> None:
    if before == after:
        typer.echo(f"at {after or 'none'}: nothing to do")
    else:
        typer.echo(f"from {before or 'none'} to {after or 'none'}")
