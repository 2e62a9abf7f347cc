"""The web application: all paths of the service, with what lies around every request."""

from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Lifespan

from infra.web.callers import Callers
from infra.web.graphiql import Graphiql
from infra.web.health import Health
from infra.web.http import GraphQLEndpoint
from infra.web.metrics import Metrics
from infra.web.operations import Operations
from infra.web.requests import Requests

CORS_HEADERS: Final = ("accept", "authorization", "content-type", "x-request-id")
CORS_SECONDS: Final = 600


def create_web(
    operations: Operations,
    websocket: ASGIApp,
    health: Health,
    metrics: Metrics,
    *,
    cors_origins: Sequence[str] = (),
    allowed_hosts: Sequence[str] | None = None,
    slow_operation_ms: float = 500,
    body_limit: int = 16 * 1024 * 1024,
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """The application over one schema's operations; `websocket` serves `/graphql` to sockets.

    `allowed_hosts` are names the service may be called by beside `localhost` and addresses; None: any.
    """
    graphiql = Graphiql()
    endpoint = GraphQLEndpoint(operations, metrics, graphiql.page, body_limit)
    routes = [
        Route("/", _home, methods=["GET"]),
        Route("/graphql", endpoint),
        WebSocketRoute("/graphql", websocket),
        Mount("/static/graphiql", graphiql.asset),
        Route("/healthz", health.healthz, methods=["GET"]),
        Route("/readyz", health.readyz, methods=["GET"]),
        Route("/metrics", metrics.endpoint, methods=["GET"]),
    ]
    middleware = [
        Middleware(Requests, slow_ms=slow_operation_ms),
        Middleware(Callers, origins=cors_origins, hosts=allowed_hosts),
    ]
    if cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(cors_origins),
                allow_methods=["GET", "POST"],
                allow_headers=list(CORS_HEADERS),
                expose_headers=["x-request-id"],
                max_age=CORS_SECONDS,
            )
        )
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


async def _home(request: Request) -> Response:
    return RedirectResponse("/graphql", 307)
