"""A process that cannot run says why in one line, without secrets, and ends with the exit code for that."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from infra.postgres.embedded import EmbeddedPostgres
from infra.process import CANNOT_RUN
from tests.infra.trades import KEY

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
NOBODY = "127.0.0.1:1"
PASSWORD = "correct-horse"
WRONG = "battery-staple"


async def refused(directory: Path, command: str, **settings: str) -> str:
    """The line that a process says before it ends."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PENSTOCK_")}
    settings = {"log_level": "ERROR", "encryption_keys": KEY, **settings}
    process = await asyncio.create_subprocess_exec(
        PENSTOCK,
        command,
        *(() if command == "ingest" else ("--port", "0")),
        env=kept | {f"PENSTOCK_{name.upper()}": text for name, text in settings.items()},
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == CANNOT_RUN, said.decode()
    (line,) = said.decode().splitlines()
    assert line.startswith("penstock: ")
    return line


@pytest.mark.parametrize("command", ["up", "serve"])
async def test_a_database_that_is_not_there(tmp_path: Path, command: str) -> None:
    url = f"postgresql://someone:{PASSWORD}@{NOBODY}/penstock"
    line = await refused(tmp_path, command, database_url=url)
    assert "the database cannot be reached" in line
    assert "PENSTOCK_DATABASE_URL" in line
    assert PASSWORD not in line


@asynccontextmanager
async def asking_for_passwords(place: Path) -> AsyncIterator[str]:
    """The query of a server's URLs, on which `someone` needs a password."""
    async with EmbeddedPostgres(place) as server:
        connection = await asyncpg.connect(server.url, timeout=10)
        try:
            await connection.execute(f"create role someone login password '{PASSWORD}'")
            rules = server.cluster / "pg_hba.conf"
            rules.write_text(f"local all someone scram-sha-256\n{rules.read_text()}")
            await connection.execute("select pg_reload_conf()")
        finally:
            await connection.close(timeout=10)
        yield urlsplit(server.url).query


async def test_a_password_or_a_name_that_the_server_does_not_know(place: Path) -> None:
    async with asking_for_passwords(place) as query:
        urls = {
            f"postgresql://someone:{WRONG}@/penstock?{query}": "refused the user or password",
            f"postgresql://postgres@/elsewhere?{query}": "the database does not exist",
        }
        lines = await asyncio.gather(*(refused(place, "serve", database_url=url) for url in urls))
    for line, reason in zip(lines, urls.values(), strict=True):
        assert reason in line
        assert WRONG not in line


async def test_a_database_that_is_not_migrated(tmp_path: Path, empty_database_url: str) -> None:
    line = await refused(tmp_path, "ingest", database_url=empty_database_url)
    assert "pending; apply with `penstock migrate up`" in line


async def test_a_bus_that_is_not_there(tmp_path: Path, database_url: str) -> None:
    bus = f"redis://someone:{PASSWORD}@{NOBODY}/0"
    line = await refused(tmp_path, "serve", database_url=database_url, bus_url=bus)
    assert "the bus" in line
    assert "PENSTOCK_BUS_URL" in line
    assert PASSWORD not in line
