"""The composition root: the only module that sees every layer.

A process is a stack of parts, each started after what it stands on and stopped before it.
"""

import asyncio
import socket
from contextlib import AsyncExitStack
from uuid import UUID

from loguru import logger

from domain.identity import ALL, Viewer
from infra.console import step
from infra.demo import demonstrating
from infra.feeds.checks import FeedChecks
from infra.feeds.named import NamedSecrets
from infra.feeds.plan import RuntimeOptions
from infra.feeds.prober import FeedProber
from infra.feeds.rest import PollOptions
from infra.feeds.runtime import Runtime
from infra.feeds.store import ConnectorStore
from infra.feeds.venues import normalise
from infra.identity import identity
from infra.parts import Parts, database_url, parts_on, shared_parts
from infra.postgres import migrate
from infra.postgres.audit_log import PostgresAuditLog
from infra.postgres.data_directory import require_free
from infra.postgres.leases import ConnectorLeases, free_all
from infra.postgres.quarantine import Quarantine
from infra.postgres.saving import MessageSaver
from infra.postgres.storage import PostgresStorage
from infra.postgres.stream_log import StreamLogs
from infra.postgres.tenancy import Tenancy
from infra.process import settle
from infra.realtime.sharing import Shares
from infra.settings import Settings
from infra.startup import is_loopback, listen
from infra.web.documents import Documents, Limits
from infra.web.errors import ErrorFormatter
from infra.web.health import Check, Health
from infra.web.metrics import Metrics
from infra.web.operations import Operations
from infra.web.routes import create_web
from infra.web.server import serving
from infra.web.websocket import WebSocketEndpoint
from resolvers.context import Services
from schema.root import schema

OWNER = Viewer(UUID("01900000-0000-7000-8000-000000000001"), permissions=ALL)
"""Whom requests act as."""


async def up(settings: Settings, demo: bool, stop: asyncio.Event) -> None:
    """Everything in one process, the schema migrated; on an embedded server unless a database URL is set."""
    if demo:
        settings = settings.model_copy(update={"allow_private_addresses": True})
    if settings.database_url is None:
        require_free(settings.data_dir)  # says more than that the port is taken
    async with AsyncExitStack() as stack:
        listener = listen(settings.host, settings.port)
        stack.callback(listener.close)
        url = await database_url(stack, settings)
        with step("Migrating the database", "Database ready"):
            await migrate.upgrade(url)
        if settings.database_url is None:
            await free_all(url)  # a killed predecessor's leases need not be waited for
        if stop.is_set():
            return
        parts = await parts_on(stack, settings, url)
        if demo:
            await stack.enter_async_context(demonstrating(parts.database, parts.workshop, OWNER))
        if stop.is_set():
            return
        await _run_connectors(stack, parts)
        await _serve(stack, parts, listener)
        settle()
        await stop.wait()


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """The API alone; connectors run in other processes, heard over the bus."""
    async with AsyncExitStack() as stack:
        listener = listen(settings.host, settings.port)
        stack.callback(listener.close)
        parts = await shared_parts(stack, settings)
        await _serve(stack, parts, listener)
        settle()
        await stop.wait()


async def ingest(settings: Settings, stop: asyncio.Event) -> None:
    """Connectors alone, those that no other process runs."""
    async with AsyncExitStack() as stack:
        parts = await shared_parts(stack, settings)
        await _run_connectors(stack, parts)
        logger.info("Running connectors")
        settle()
        await stop.wait()


async def _run_connectors(stack: AsyncExitStack, parts: Parts) -> None:
    settings = parts.settings
    options = RuntimeOptions(
        lease_seconds=settings.lease_seconds,
        frame_limit=settings.frame_limit_bytes,
        poll=PollOptions(response_limit_bytes=settings.response_limit_bytes),
    )
    runtime = Runtime(
        ConnectorLeases(parts.database.pool, parts.process_id, settings.lease_seconds),
        ConnectorStore(parts.database, parts.vault, _named_secrets(parts), parts.process_id),
        parts.writer,
        parts.book,
        parts.guard,
        parts.budget,
        normalise,
        parts.clock,
        parts.ids,
        options,
    )
    parts.bell.listen(lambda _: runtime.wake())
    await runtime.start()

    async def stop() -> None:
        await runtime.stop(lambda: parts.writer.drain(options.drain_seconds))

    stack.push_async_callback(stop)


async def _serve(stack: AsyncExitStack, parts: Parts, listener: socket.socket) -> None:
    settings = parts.settings
    services = _services(parts)
    who = await identity(stack, parts, services.databases)
    metrics = Metrics()
    shares = Shares(outbox_events=settings.outbox_events, outbox_bytes=settings.outbox_bytes)
    graphql_schema = schema._schema  # noqa: SLF001 - Strawberry offers no public way to graphql-core's schema
    limits = Limits(
        tokens=settings.max_query_tokens,
        depth=settings.max_query_depth,
        cost=settings.max_query_cost,
    )

    operations = Operations(
        graphql_schema,
        Documents(graphql_schema, limits),
        services.context,
        shares,
        ErrorFormatter(),
        metrics,
    )
    sockets = WebSocketEndpoint(
        operations, who.entrance, token_parameter=settings.websocket_token_parameter
    )
    _measure(metrics, parts, shares, sockets)
    health = Health(_checks(parts))
    application = create_web(
        operations,
        who.entrance,
        sockets,
        health,
        metrics,
        jwks=who.jwks,
        cors_origins=settings.cors_origins,
        allowed_hosts=settings.allowed_hosts if is_loopback(listener) else None,
        slow_operation_ms=settings.slow_operation_ms,
    )
    await stack.enter_async_context(serving(application, listener))
    stack.push_async_callback(shares.close)
    stack.push_async_callback(sockets.close)

    def drain() -> None:
        health.draining = True

    stack.callback(drain)
    host, port = listener.getsockname()[:2]
    logger.info(
        "Penstock is ready: http://{}:{}/graphql", f"[{host}]" if ":" in host else host, port
    )


def _services(parts: Parts) -> Services:
    database, clock = parts.database, parts.clock
    settings = parts.settings
    databases = Tenancy(database)
    return Services(
        databases=databases,
        logs=StreamLogs(database, MessageSaver(database.pool, parts.writer, clock)),
        feed=parts.feed,
        vault=parts.vault,
        clock=clock,
        ids=parts.ids,
        switchboard=parts.bell,
        checks=FeedChecks(parts.guard),
        prober=FeedProber(
            parts.guard,
            parts.budget,
            normalise,
            clock,
            frame_limit=settings.frame_limit_bytes,
        ),
        quarantine=Quarantine(database.pool, parts.writer, normalise, parts.vault),
        storage=PostgresStorage(
            database,
            embedded=settings.database_url is None,
            bus=settings.bus_url.get_secret_value().partition(":")[0],
        ),
        audit=PostgresAuditLog(databases, clock),
        named_secrets=_named_secrets(parts),
    )


def _named_secrets(parts: Parts) -> NamedSecrets:
    audit = PostgresAuditLog(Tenancy(parts.database), parts.clock)
    return NamedSecrets(parts.database, parts.vault, audit, parts.clock)


def _checks(parts: Parts) -> dict[str, Check]:
    async def database() -> None:
        await parts.database.pool.fetchval("select 1")

    async def bus() -> None:
        if not parts.bus.connected:
            raise ConnectionError("the bus is away")

    async def writer() -> None:
        if parts.writer.stats.failing_since is not None:
            raise ConnectionError("the writer cannot store")

    return {"database": database, "bus": bus, "writer": writer}


def _measure(metrics: Metrics, parts: Parts, shares: Shares, sockets: WebSocketEndpoint) -> None:
    writer = parts.writer
    metrics.gauge("sockets", "WebSocket clients connected.", lambda: sockets.open_sockets)
    metrics.gauge("subscribers", "Subscriptions open.", lambda: shares.subscribers)
    metrics.counter(
        "lost_messages",
        "Messages left out for subscribers too slow, each told in a Gap.",
        lambda: shares.lost_messages,
    )
    metrics.counter(
        "healed_messages",
        "Messages the bus lost and the database gave.",
        lambda: parts.hub.healed_rows,
    )
    metrics.gauge(
        "writer_queued_messages", "Messages waiting to be stored.", lambda: writer.stats.queued_rows
    )
    metrics.counter("stored_messages", "Messages stored.", lambda: writer.stats.rows)
    metrics.counter("writer_batches", "Batches stored.", lambda: writer.stats.flushes)
    metrics.counter("writer_retries", "Batches tried again.", lambda: writer.stats.retries)
    metrics.counter(
        "shed_messages",
        "Messages given up while the database was away.",
        lambda: writer.stats.shed_messages,
    )
    metrics.counter(
        "fenced_messages",
        "Messages given up because another process runs their connector.",
        lambda: writer.stats.fenced_messages,
    )
    metrics.counter(
        "refused_messages",
        "Messages the database refused, kept in quarantine.",
        lambda: writer.stats.refused_messages,
    )
    metrics.counter(
        "unannounced_batches",
        "Batches stored whose announcement failed; streams heal from the database.",
        lambda: writer.stats.unannounced,
    )
