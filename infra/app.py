"""The composition root: the only module that sees every layer.

A process is a stack of parts, each started after what it stands on and stopped before it.
"""

import asyncio
import socket
from contextlib import AsyncExitStack
from uuid import UUID

from loguru import logger
from starlette.types import ASGIApp

from domain.identity import Door, operating
from infra.console import step
from infra.demo import DEMO_EMAIL, DemoDesk, demonstrating, require_loopback
from infra.feeds.checks import FeedChecks
from infra.feeds.named import NamedSecrets
from infra.feeds.plan import RuntimeOptions
from infra.feeds.prober import FeedProber
from infra.feeds.rest import PollOptions
from infra.feeds.runtime import Runtime
from infra.feeds.store import ConnectorStore
from infra.feeds.venues import normalise
from infra.identity import Identity, identity
from infra.keyring import newest_key
from infra.measures import measure_parts, measure_post, measure_service
from infra.parts import Parts, database_url, parts_on, shared_parts
from infra.postgres import migrate
from infra.postgres.audit_log import PostgresAuditLog
from infra.postgres.data_directory import require_free
from infra.postgres.leases import ConnectorLeases, free_all
from infra.postgres.quarantine import Quarantine
from infra.postgres.saving import MessageSaver
from infra.postgres.storage import PostgresStorage
from infra.postgres.stream_log import StreamLogs
from infra.process import settle
from infra.realtime.sharing import Shares
from infra.settings import Settings
from infra.startup import is_loopback, listen
from infra.web.errors import ErrorFormatter
from infra.web.front import allowed_hosts, front_door, metrics_beside_api, metrics_token
from infra.web.health import Check, Health
from infra.web.metrics import Metrics
from infra.web.openid import providers_of
from infra.web.operations import Operations
from infra.web.routes import create_metrics_web, create_web
from infra.web.server import serving
from infra.web.signing_in import SignInOptions, cookie_key, sign_in_routes
from infra.web.websocket import WebSocketEndpoint
from resolvers.context import Services
from schema.root import schema


async def up(settings: Settings, demo: bool, stop: asyncio.Event) -> None:
    """Everything in one process, the schema migrated; on an embedded server unless a database URL is set."""
    if demo:
        settings = settings.model_copy(update={"allow_private_addresses": True})
    if settings.database_url is None:
        require_free(settings.data_dir)  # says more than that the port is taken
    async with AsyncExitStack() as stack:
        listener = listen(settings.host, settings.port)
        stack.callback(listener.close)
        if demo:
            require_loopback(listener)
        url = await database_url(stack, settings)
        with step("Migrating the database", "Database ready"):
            await migrate.upgrade(url)
        if settings.database_url is None:
            await free_all(url)  # a killed predecessor's leases need not be waited for
        if stop.is_set():
            return
        parts = await parts_on(stack, settings, url)
        who = await identity(stack, parts, parts.tenancy)
        shown = None
        if demo:
            desk = DemoDesk(parts.database, parts.tenancy, who.door, parts.workshop)
            shown = await stack.enter_async_context(demonstrating(desk, settings))
        if stop.is_set():
            return
        await _run_connectors(stack, parts)
        await _serve(stack, parts, who, listener, shown)
        settle()
        await stop.wait()


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """The API alone; connectors run in other processes, heard over the bus."""
    async with AsyncExitStack() as stack:
        listener = listen(settings.host, settings.port)
        stack.callback(listener.close)
        parts = await shared_parts(stack, settings)
        who = await identity(stack, parts, parts.tenancy)
        await _serve(stack, parts, who, listener)
        settle()
        await stop.wait()


async def ingest(settings: Settings, stop: asyncio.Event) -> None:
    """Connectors alone, those that no other process runs."""
    async with AsyncExitStack() as stack:
        parts = await shared_parts(stack, settings)
        await _run_connectors(stack, parts)
        metrics = Metrics()
        measure_parts(metrics, parts)
        await _serve_metrics(stack, settings, metrics)
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
        ConnectorLeases(parts.stream.pool, parts.process_id, settings.lease_seconds),
        ConnectorStore(parts.stream, parts.vault, _named_secrets(parts), parts.process_id),
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


async def _serve(
    stack: AsyncExitStack,
    parts: Parts,
    who: Identity,
    listener: socket.socket,
    shown: UUID | None = None,
) -> None:
    """Serve the API; `shown` is the demo's user, whom its page signs in with one click."""
    settings = parts.settings
    services = _services(parts, who.door)
    shares = Shares(outbox_events=settings.outbox_events, outbox_bytes=settings.outbox_bytes)
    graphql_schema = schema._schema  # noqa: SLF001 - Strawberry offers no public way to graphql-core's schema
    front = front_door(settings, graphql_schema, parts.scope)
    stack.push_async_callback(front.counters.close)
    metrics = front.metrics
    operations = Operations(
        graphql_schema,
        front.documents,
        services.context,
        shares,
        ErrorFormatter(),
        metrics,
        timeout_seconds=settings.operation_timeout_seconds,
        gate=front.gate,
        followers=front.followers,
        hide_suggestions=not front.hints,
    )
    sockets = WebSocketEndpoint(
        operations,
        who.entrance,
        token_parameter=settings.websocket_token_parameter,
        crowd=front.crowd,
        operations_per_socket=settings.max_operations_per_socket,
        messages_per_minute=settings.socket_messages_per_minute,
    )
    measure_parts(metrics, parts)
    measure_service(metrics, shares, sockets, front)
    measure_post(metrics, who.post)
    await _serve_metrics(stack, settings, metrics)
    health = Health({**_checks(parts), **who.checks})
    application = create_web(
        operations,
        who.entrance,
        sockets,
        health,
        metrics,
        jwks=who.jwks,
        auth=_auth(parts, who.door, front.graphiql, shown),
        demo=None if shown is None else DEMO_EMAIL,
        cors_origins=settings.cors_origins,
        allowed_hosts=allowed_hosts(settings, is_loopback(listener)),
        slow_operation_ms=settings.slow_operation_ms,
        body_limit=settings.max_request_bytes,
        batch_limit=settings.max_batch,
        crowd=front.crowd,
        gate=front.gate,
        with_graphiql=front.graphiql,
        with_metrics=metrics_beside_api(settings),
        metrics_token=metrics_token(settings),
        trusted_proxies=settings.trusted_proxies,
        https_alone=settings.environment == "production",
    )
    size = settings.max_request_bytes
    await stack.enter_async_context(serving(application, listener, message_bytes=size))
    stack.push_async_callback(shares.close)
    stack.push_async_callback(sockets.close)

    def drain() -> None:
        health.draining = True

    stack.callback(drain)
    async with parts.database.read() as session:
        if not await operating.anybody(session):
            logger.warning("Nobody has an account yet: `penstock user add EMAIL --adopt` makes one")
    host, port = listener.getsockname()[:2]
    logger.info(
        "Penstock is ready: http://{}:{}/graphql", f"[{host}]" if ":" in host else host, port
    )


def _auth(parts: Parts, door: Door, graphiql: bool, shown: UUID | None) -> ASGIApp | None:
    """Signing in elsewhere, and the demo's one click."""
    settings = parts.settings
    if not settings.openid_providers and shown is None:
        return None
    options = SignInOptions(
        public_url=settings.public_url,
        app_url=settings.app_url,
        graphiql=graphiql,
        demo=shown,
        cookie_key=cookie_key(newest_key(settings)),
    )
    return sign_in_routes(providers_of(settings.openid_providers), parts.tenancy, door, options)


async def _serve_metrics(stack: AsyncExitStack, settings: Settings, metrics: Metrics) -> None:
    """`/metrics` on its own port, when one is set."""
    if settings.metrics_port is None:
        return
    listener = listen(settings.host, settings.metrics_port)
    stack.callback(listener.close)
    application = create_metrics_web(metrics, metrics_token(settings))
    await stack.enter_async_context(serving(application, listener))
    host, port = listener.getsockname()[:2]
    logger.info("Metrics are at http://{}:{}/metrics", f"[{host}]" if ":" in host else host, port)


def _services(parts: Parts, door: Door) -> Services:
    databases, clock, settings = parts.tenancy, parts.clock, parts.settings
    return Services(
        databases=databases,
        logs=StreamLogs(databases, MessageSaver(databases, parts.writer, clock)),
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
        quarantine=Quarantine(databases, parts.writer, normalise, parts.vault),
        storage=PostgresStorage(
            databases,
            embedded=settings.database_url is None,
            bus=settings.bus_url.get_secret_value().partition(":")[0],
        ),
        audit=PostgresAuditLog(databases, clock),
        named_secrets=_named_secrets(parts),
        door=door,
        sign_in_providers=tuple(provider.name for provider in settings.openid_providers),
    )


def _named_secrets(parts: Parts) -> NamedSecrets:
    audit = PostgresAuditLog(parts.tenancy, parts.clock)
    return NamedSecrets(parts.stream, parts.vault, audit, parts.clock)


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
