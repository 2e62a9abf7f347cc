"""A whole process behind the schema: real database, writer, vault, prober; what is announced is remembered."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import event, select
from sqlmodel import col

from domain.connectors import ConnectorStatus
from domain.identity import ALL, Caller, Viewer
from domain.ports import Clock
from infra.feeds.budget import RateBudget
from infra.feeds.checks import FeedChecks
from infra.feeds.guard import Guard
from infra.feeds.named import NamedSecrets
from infra.feeds.prober import FeedProber
from infra.feeds.venues import normalise
from infra.postgres.audit_log import PostgresAuditLog
from infra.postgres.database import Connection, Database
from infra.postgres.message_log import PostgresMessageLog
from infra.postgres.quarantine import Quarantine
from infra.postgres.roles import ACCOUNTS, API
from infra.postgres.saving import MessageSaver
from infra.postgres.storage import PostgresStorage
from infra.postgres.stream_log import StreamLogs
from infra.postgres.tenancy import Tenancy
from infra.realtime.hub import Hub
from infra.realtime.statuses import StatusBoard
from infra.realtime.streams import Feed
from infra.security.vault import KeyVault
from infra.system import RandomIds, SystemClock
from resolvers import ids
from resolvers.context import Context, Services
from schema.errors import top_level
from schema.root import schema
from tests import factories
from tests.doors import door
from tests.factories import HOME_WORKSPACE_ID, OWNER_ID
from tests.infra.postgres.writing import writing

VIEWER = Viewer(HOME_WORKSPACE_ID, user_id=OWNER_ID, permissions=ALL)
FACTS = """... on Connector {
  id name url protocol venue enabled state method body pollingIntervalMs subscribeFrames staleAfterMs mapping authType
  signing secretFields version createdAt updatedAt status { state since lastError connectorId connector { name } }
}"""
FAULT = "... on InvalidInput { field reason }"
TEST = """... on ConnectorTest { ok durationMs frame frameBytes error messageCount
  messages { exchange instrument type price data detail { __typename } } } ... on InvalidInput { field }"""
URL = "wss://stream.example.com/ws"
MESSAGE = """id connectorId connector { name } exchange instrument type price quantity side sequence eventTime receivedAt data
  detail { __typename ... on QuoteDetail { bid bidQuantity ask askQuantity }
    ... on CandleDetail { open interval start closed } ... on BookDetail { snapshot bids { price quantity } } }"""


class CountedDatabase(Database):
    """Remembers every statement, but those that begin and end transactions."""

    def __init__(self, url: str, role: str | None = None) -> None:
        super().__init__(url, pool_size=5, role=role)
        self.statements: list[str] = []

    async def connect(self, timeout_seconds: float = 30.0) -> None:
        await super().connect(timeout_seconds)
        event.listen(self.engine.sync_engine, "before_cursor_execute", self._executed)

    @asynccontextmanager
    async def acquire(self, timeout_seconds: float = 10.0) -> AsyncIterator[Connection]:
        async with super().acquire(timeout_seconds) as connection:
            with connection.query_logger(lambda record: self._noted(record.query)):
                yield connection

    def _noted(self, statement: str) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            self.statements.append(statement)

    def _executed(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.statements.append(statement)


@dataclass
class Changes:
    """Remembers what the ingest processes were told."""

    told: list[UUID] = field(default_factory=list)

    async def connector_changed(self, connector_id: UUID) -> None:
        self.told.append(connector_id)


@dataclass
class World:
    database: CountedDatabase
    services: Services
    changes: Changes
    said: list[str] = field(default_factory=list)

    def context(self, viewer: Viewer | None = VIEWER) -> Context:
        return self.services.context(Caller(viewer, "request-1"))

    async def answer(
        self, document: str, viewer: Viewer | None = VIEWER, **variables: Any
    ) -> tuple[Any, list[Any]]:
        """Data and errors as a client reads them; errors as (message, extensions), masked where they must be."""
        result = await schema.execute(document, variables, context_value=self.context(viewer))
        errors = [top_level(error.original_error) or str(error) for error in result.errors or ()]
        body = orjson.dumps({"data": result.data, "errors": errors})
        self.said.append(body.decode())
        return json.loads(body)["data"], errors

    async def ask(self, document: str, viewer: Viewer | None = VIEWER, **variables: Any) -> Any:
        """The data of an operation without errors."""
        data, errors = await self.answer(document, viewer, **variables)
        assert errors == []
        return data

    async def refused(
        self, document: str, viewer: Viewer | None = VIEWER, **variables: Any
    ) -> dict[str, Any]:
        """The extensions of the operation's only error."""
        _, errors = await self.answer(document, viewer, **variables)
        assert len(errors) == 1
        assert isinstance(errors[0], tuple), errors
        extensions: dict[str, Any] = errors[0][1]
        return extensions

    async def do(
        self, mutation: str, selection: str, viewer: Viewer = VIEWER, **input: Any
    ) -> dict[str, Any]:
        """The result of a mutation."""
        data = await self.ask(_mutation(mutation, selection), viewer, input=input)
        result: dict[str, Any] = data[mutation]
        return result

    async def forbidden(self, mutation: str, viewer: Viewer, **input: Any) -> str:
        """What a viewer lacks for a mutation that is refused as a whole."""
        extensions = await self.refused(_mutation(mutation, ""), viewer, input=input)
        assert extensions["code"] == "FORBIDDEN", extensions
        needed: str = extensions["needed"]
        return needed

    async def status(self, connector_id: UUID) -> ConnectorStatus | None:
        async with self.database.read() as session:
            return await session.scalar(
                select(ConnectorStatus).where(col(ConnectorStatus.connector_id) == connector_id)
            )


def _mutation(name: str, selection: str) -> str:
    capital = name[0].upper() + name[1:]
    return (
        f"mutation($input: {capital}Input!) {{ {name}(input: $input) {{ __typename {selection}"
        " ... on Error { message code } } }"
    )


async def stored_statuses(viewer: Viewer, connector_id: UUID | None) -> Sequence[ConnectorStatus]:
    """None: these tests follow no statuses."""
    return []


@asynccontextmanager
async def living(
    url: str,
    *,
    allow_private: bool = True,
    clock: Clock | None = None,
    rules: dict[str, Any] | None = None,
) -> AsyncIterator[World]:
    """A world on a migrated database; `rules` are of its door."""
    clock, identities, guard = clock or SystemClock(), RandomIds(), Guard(allow_private)
    vault = KeyVault([bytes(range(32))])
    async with (
        CountedDatabase(url) as database,
        CountedDatabase(url, API) as api,
        Database(url, pool_size=5, role=ACCOUNTS) as accounts,
        writing(database) as w,
    ):
        api.statements = database.statements
        databases = Tenancy(api, accounts)
        saver = MessageSaver(databases, w.writer, clock)
        changes = Changes()
        hub = Hub(PostgresMessageLog(database), clock)
        services = Services(
            databases=databases,
            logs=StreamLogs(databases, saver),
            feed=Feed(
                hub,
                StatusBoard(stored_statuses),
                clock,
                lambda viewer: PostgresMessageLog(databases.seen_by(viewer)),
            ),
            vault=vault,
            clock=clock,
            ids=identities,
            switchboard=changes,
            checks=FeedChecks(guard),
            prober=FeedProber(guard, RateBudget(), normalise, clock, probe_seconds=2.0),
            quarantine=Quarantine(databases, w.writer, normalise, vault),
            storage=PostgresStorage(databases, embedded=True, bus="memory"),
            audit=PostgresAuditLog(databases, clock),
            door=door(vault, clock, identities, **(rules or {})),
            named_secrets=NamedSecrets(database, vault, PostgresAuditLog(databases, clock), clock),
        )
        yield World(database, services, changes)


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """A source that answers with all it was sent, headers and query included; its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        body = orjson.dumps({"price": "1.5", "sent": request})
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/echo"


def uuid_of(id: str) -> UUID:
    """The key in a connector's global id."""
    return UUID(ids.parts(id)[1])


def connector_id(key: UUID) -> str:
    """The global id of a connector."""
    return ids.global_id("Connector", key)


async def create(world: World, name: str = "Prices", url: str = URL, **values: Any) -> Any:
    return await world.do("createConnector", FACTS + FAULT, name=name, url=url, **values)


async def created(world: World, **values: Any) -> str:
    connector = await create(world, **values)
    assert connector["__typename"] == "Connector", connector
    id: str = connector["id"]
    return id


async def store(world: World, count: int, **values: Any) -> list[Any]:
    """Messages a millisecond apart, numbered by their sequence."""
    messages = factories.messages(count, **values)
    for number, message in enumerate(messages):
        message.sequence = str(number)
    await factories.store(world.database, messages)
    return messages
