"""One PostgreSQL for a whole test run: owned by pytest's controlling process, started when a worker first asks."""

import asyncio
import os
import shutil
import tempfile
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from domain.positions import first_id_at
from infra.postgres import migrate
from infra.postgres.database import connector
from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.partitions import Partitions
from tests.factories import HOME_WORKSPACE_ID, OWNER_ID

EXTERNAL = "PENSTOCK_TEST_DATABASE_URL"
START_TIMEOUT_SECONDS = 60.0
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
    "log_checkpoints": "off",
}


class Cluster:
    """The run's server, in the controlling process: waits for the file `wanted`, then starts and writes `ready`."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="penstock-tests-"))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="test-cluster", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the server and remove its files."""
        self._over.set()
        self._thread.join(START_TIMEOUT_SECONDS)
        _remove(self.directory)

    def _run(self) -> None:
        while not (self.directory / "wanted").exists():
            if self._over.wait(0.02):
                return
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - the workers must hear of it
            _write(self.directory / "failed", repr(error))

    async def _serve(self) -> None:
        external = os.environ.get(EXTERNAL)
        if external is not None:
            await self._offer(external)
            return
        async with EmbeddedPostgres(
            self.directory / "data", database="postgres", settings=SETTINGS
        ) as server:
            await self._offer(server.url)

    async def _offer(self, url: str) -> None:
        template = f"penstock_template_{uuid.uuid4().hex[:12]}"
        await run(url, f'create database "{template}"')
        await _prepare(with_database(url, template))
        _write(self.directory / "ready", f"{template}\n{url}")
        await asyncio.to_thread(self._over.wait)
        await run(url, f'drop database if exists "{template}" with (force)')


_HOME = f"""
    insert into users
        (id, email, name, time_zone, status, email_verified_at, second_factor, created_at, updated_at)
    values ('{OWNER_ID}', 'owner@example.com', 'Owner', 'UTC', 'active', now(), false, now(), now());
    insert into workspaces (id, name, time_zone, currency, personal, second_factor_required, version,
        created_at, updated_at)
    values ('{HOME_WORKSPACE_ID}', 'Home', 'UTC', 'USD', true, false, 1, now(), now());
    insert into members (workspace_id, user_id, role, created_at)
    values ('{HOME_WORKSPACE_ID}', '{OWNER_ID}', 'owner', now())
"""


async def _prepare(url: str) -> None:
    """Migrate, add a workspace with its owner, and the partitions from yesterday to the day after tomorrow."""
    await migrate.upgrade(url)
    now = datetime.now(UTC)
    connection = await connector(url)()
    try:
        await connection.execute(_HOME)
        await Partitions(24).ensure_for(
            connection, first_id_at(now - timedelta(days=1)), first_id_at(now + timedelta(days=2))
        )
    finally:
        await connection.close(timeout=10)


def server(directory: Path) -> tuple[str, str]:
    """The template's name and the server's URL, in any process of the run; starts the server when it is the first."""
    (directory / "wanted").touch()
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if (directory / "failed").exists():
            raise RuntimeError((directory / "failed").read_text())
        if (directory / "ready").exists():
            template, url = (directory / "ready").read_text().split("\n")
            return template, url
        time.sleep(0.02)
    raise TimeoutError("the test cluster did not start")


async def create_database(url: str, template: str | None) -> str:
    """A new database, empty or a copy of the template; returns its URL."""
    name = f"penstock_test_{uuid.uuid4().hex[:16]}"
    source = "template0" if template is None else template
    # A file copy of some 8 MB: cheaper than write-ahead logging it, and immune to others at the template.
    await run(url, f'create database "{name}" template "{source}"')
    return with_database(url, name)


async def drop_database(url: str) -> None:
    """Drop what `create_database` made, whoever is still connected."""
    name = urlsplit(url).path[1:]
    await run(with_database(url, "postgres"), f'drop database if exists "{name}" with (force)')


def with_database(url: str, name: str) -> str:
    """The same server's other database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}")).replace(
        "postgresql:/" + name, "postgresql:///" + name
    )


def as_login(url: str, login: str, password: str) -> str:
    """The same database, as somebody else."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return url.replace(f"//{parts.netloc}/", f"//{login}:{password}@{host}/", 1)


async def run(url: str, statement: str) -> None:
    """One statement on a connection of its own."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await connection.execute(statement)
    finally:
        await connection.close(timeout=10)


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
