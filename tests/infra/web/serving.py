"""The sample schema behind the real web application, in memory or on a real port."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette

from infra.realtime.sharing import Shares
from infra.web.documents import Documents, Limits
from infra.web.errors import ErrorFormatter
from infra.web.health import Check, Health
from infra.web.metrics import Metrics
from infra.web.operations import Operations
from infra.web.routes import create_web
from infra.web.server import serving
from infra.web.websocket import WebSocketEndpoint
from tests.infra.web.sample import SCHEMA, World


def operations(
    world: World,
    limits: Limits | None = None,
    compile_plain_fields: bool = True,
    metrics: Metrics | None = None,
    timeout_seconds: float = 30.0,
) -> Operations:
    def context(request_id: str) -> World:
        world.request_id = request_id
        return world

    return Operations(
        SCHEMA,
        Documents(SCHEMA, limits),
        context,
        Shares(outbox_events=16, outbox_bytes=1 << 20),
        ErrorFormatter(),
        metrics or Metrics(),
        compile_plain_fields=compile_plain_fields,
        timeout_seconds=timeout_seconds,
    )


def application(
    world: World | None = None,
    *,
    limits: Limits | None = None,
    checks: dict[str, Check] | None = None,
    metrics: Metrics | None = None,
    health: Health | None = None,
    timeout_seconds: float = 30.0,
    **options: Any,
) -> Starlette:
    metrics = metrics or Metrics()
    served = operations(world or World(), limits, metrics=metrics, timeout_seconds=timeout_seconds)
    return create_web(
        served,
        WebSocketEndpoint(served),
        health or Health(checks or {}, timeout_seconds=0.2),
        metrics,
        **options,
    )


def client(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://penstock.test")


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """The application on 127.0.0.1 by the real server; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(app, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
