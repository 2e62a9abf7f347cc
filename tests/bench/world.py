"""A service on a PostgreSQL of its own, for benchmarks."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from infra.postgres import migrate
from infra.postgres.embedded import EmbeddedPostgres
from tests.bench.source import Source
from tests.service import Service

CREATE = """
mutation($input: CreateConnectorInput!) { createConnector(input: $input) { __typename ... on Connector { id } } }
"""
START = "mutation($id: ID!) { startConnector(input: {id: $id}) { __typename } }"


@dataclass(slots=True)
class World:
    """The service and its database."""

    service: Service
    url: str
    database: "asyncpg.Connection[asyncpg.Record]"

    async def connect(self, source: Source) -> str:
        """A running connector on a source; returns its id."""
        wanted = {"name": "bench", "url": source.url, "venue": "BINANCE"}
        made = (await self.service.ask(CREATE, {"input": wanted}))["createConnector"]
        await self.service.ask(START, {"id": made["id"]})
        await source.connected.wait()
        return str(made["id"])

    def resident_mb(self) -> float:
        """Memory of the service's process."""
        status = Path(f"/proc/{self.service.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@asynccontextmanager
async def world(**settings: Any) -> AsyncIterator[World]:
    """A service for the block; the database is the one users get, with nothing tuned for the occasion."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as directory:
        async with EmbeddedPostgres(Path(directory) / "server") as postgres:
            await migrate.upgrade(postgres.url)
            settings = {"allow_private_addresses": True, "database_url": postgres.url} | settings
            async with Service(Path(directory) / "data", **settings) as service:
                database = await asyncpg.connect(postgres.url)
                try:
                    yield World(service, postgres.url, database)
                finally:
                    await database.close()
