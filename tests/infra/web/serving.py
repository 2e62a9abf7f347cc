"""The sample schema behind the real web application, in memory or on a real port."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp

from domain.identity import Caller, Viewer
from domain.identity.changes import RightsChange
from infra.realtime.sharing import Shares
from infra.web.admission import Admission, Offer, Proof
from infra.web.documents import Documents, Limits
from infra.web.entrance import Authentication, Entrance
from infra.web.errors import ErrorFormatter
from infra.web.health import Check, Health
from infra.web.limits import RateLimits
from infra.web.metrics import Metrics
from infra.web.operations import Operations
from infra.web.routes import create_web
from infra.web.server import serving
from infra.web.websocket import WebSocketEndpoint
from tests.infra.web.sample import SCHEMA, World


class Anybody:
    """Lets everybody in as the same viewer, or as nobody: these tests are about what comes afterwards."""

    def __init__(self, viewer: Viewer | None = None) -> None:
        self.admission = Admission(viewer)

    async def admit(self, offer: Offer) -> Admission:
        return self.admission

    async def again(self, proof: Proof) -> Admission:
        return self.admission

    def forget(self, change: RightsChange) -> None:
        pass


def operations(
    world: World,
    limits: Limits | None = None,
    compile_plain_fields: bool = True,
    metrics: Metrics | None = None,
    timeout_seconds: float = 30.0,
    documents: Documents | None = None,
    gate: RateLimits | None = None,
    hide_suggestions: bool = False,
) -> Operations:
    def context(caller: Caller) -> World:
        world.request_id = caller.request_id
        return world

    return Operations(
        SCHEMA,
        Documents(SCHEMA, limits) if documents is None else documents,
        context,
        Shares(outbox_events=16, outbox_bytes=1 << 20),
        ErrorFormatter(),
        metrics or Metrics(),
        compile_plain_fields=compile_plain_fields,
        timeout_seconds=timeout_seconds,
        gate=gate,
        hide_suggestions=hide_suggestions,
    )


def application(
    world: World | None = None,
    *,
    limits: Limits | None = None,
    checks: dict[str, Check] | None = None,
    metrics: Metrics | None = None,
    health: Health | None = None,
    timeout_seconds: float = 30.0,
    documents: Documents | None = None,
    gate: RateLimits | None = None,
    hide_suggestions: bool = False,
    viewer: Viewer | None = None,
    authentication: Authentication | None = None,
    sockets: Mapping[str, Any] | None = None,
    **options: Any,
) -> Starlette:
    metrics = metrics or Metrics()
    served = operations(
        world or World(),
        limits,
        metrics=metrics,
        timeout_seconds=timeout_seconds,
        documents=documents,
        gate=gate,
        hide_suggestions=hide_suggestions,
    )
    entrance = Entrance(authentication or Anybody(viewer))
    return create_web(
        served,
        entrance,
        WebSocketEndpoint(served, entrance, **(sockets or {})),
        health or Health(checks or {}, timeout_seconds=0.2),
        metrics,
        gate=gate,
        **options,
    )


def client(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://penstock.test")


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The application on 127.0.0.1 by the real server; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(app, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
