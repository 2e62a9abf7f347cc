"""What `penstock migrate` does."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from alembic.script.revision import RevisionError
from alembic.util.exc import CommandError

from infra.commands import database
from infra.console import step
from infra.postgres import migrate
from infra.settings import Settings
from infra.startup import CannotRun


async def up(settings: Settings, revision: str) -> None:
    """Apply what is pending up to `revision`; raises CannotRun for a revision that is none."""
    async with database.alone(settings) as url:
        before = await migrate.status(url)
        with step("Migrating", "Migrated"), _known(revision):
            await migrate.upgrade(url, revision)
        _tell(before.current, (await migrate.status(url)).current)


async def down(settings: Settings, revision: str) -> None:
    """Go back to `revision`; raises CannotRun for one that is none."""
    async with database.alone(settings) as url:
        before = await migrate.status(url)
        if before.current is None:
            raise CannotRun("no migration is applied: there is nothing to undo")
        with step("Migrating back", "Migrated back"), _known(revision):
            await migrate.downgrade(url, revision)
        _tell(before.current, (await migrate.status(url)).current)


async def status(settings: Settings) -> None:
    """Print the database's revision, the newest and those pending."""
    async with database.alone(settings) as url:
        found = await migrate.status(url)
    typer.echo(f"current: {found.current or 'none'}")
    typer.echo(f"newest:  {found.head}")
    typer.echo(f"pending: {', '.join(found.pending) or 'none'}")


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
