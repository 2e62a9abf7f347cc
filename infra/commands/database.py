"""The database a command works on: a server that is given, the embedded one alone, or beside who runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.console import step
from infra.postgres.embedded import EmbeddedPostgres, running_url
from infra.settings import Settings
from infra.startup import require_database, require_migrations


@asynccontextmanager
async def alone(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database, after its server answered; the embedded one is started for the block.

    Raises DataDirectoryInUse while another process runs the embedded one.
    """
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


@asynccontextmanager
async def beside(settings: Settings) -> AsyncIterator[str]:
    """The URL of the migrated database, beside a service that runs on it or without one.

    Raises CannotRun when it cannot be reached or migrations are pending.
    """
    running = None if settings.database_url else running_url(settings.data_dir)
    if running is not None:
        await require_database(running)
        await require_migrations(running)
        yield running
        return
    async with alone(settings) as url:
        await require_migrations(url)
        yield url
