"""Brings a database's schema forward and back; safe when several processes try at once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from infra.postgres import tables
from infra.postgres.database import connector

_LOCK = 0x70656E73  # one advisory lock for all migrations of a database: "pens"
_LOCK_TIMEOUT = "60s"


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Which revision a database is at, the newest there is, and those between, oldest first."""

    current: str | None
    head: str
    pending: tuple[str, ...]


async def upgrade(url: str, revision: str = "head") -> None:
    """Migrate forward to `revision` in one transaction; waits up to 60 s for another process doing so."""
    await _run(url, lambda config: command.upgrade(config, revision))


async def downgrade(url: str, revision: str) -> None:
    """Migrate back to `revision` ("base" for nothing) in one transaction; drops data."""
    await _run(url, lambda config: command.downgrade(config, revision))


async def status(url: str) -> MigrationStatus:
    """Where the database stands; raises alembic's CommandError when it is at a revision unknown here."""
    scripts = ScriptDirectory.from_config(_config())
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connector(url), poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            current = await connection.run_sync(
                lambda sync: MigrationContext.configure(sync).get_current_revision()
            )
    finally:
        await engine.dispose()
    head = scripts.get_current_head()
    if head is None:
        raise RuntimeError("no migrations are installed")
    pending = scripts.iterate_revisions(head, current or "base")
    return MigrationStatus(current, head, tuple(script.revision for script in pending)[::-1])


def configure(context: Any) -> None:
    """What Alembic's environment needs: the open connection, the tables, and which of them to compare."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=tables.metadata,
        include_object=is_declared,
        compare_type=True,
    )


def is_declared(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Whether autogenerate looks at this object: partitions come and go by themselves."""
    table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", None)
    return not (table or "").startswith(tables.PARTITION_PREFIX)


async def _run(url: str, run: Callable[[Config], None]) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connector(url), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"set local lock_timeout = '{_LOCK_TIMEOUT}'"))
            await connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
            await connection.run_sync(_apply, run)
    finally:
        await engine.dispose()


def _apply(connection: Connection, run: Callable[[Config], None]) -> None:
    config = _config()
    config.attributes["connection"] = connection
    run(config)


def _config() -> Config:
    config = Config()
    scripts = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    return config
