"""The web application: all paths of the service, with what lies around every request."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Lifespan

from infra.web.callers import Callers
from infra.web.crowd import Crowd
from infra.web.entrance import Entrance
from infra.web.graphiql import Graphiql
from infra.web.health import Health
from infra.web.http import GraphQLEndpoint
from infra.web.limits import RateLimits
from infra.web.metrics import Guarded, Metrics
from infra.web.operations import Operations
from infra.web.proxies import Proxies
from infra.web.requests import Requests
from infra.web.visits import Visits

CORS_HEADERS: Final = (
    "accept",
    "apollo-require-preflight",
    "authorization",
    "content-type",
    "x-apollo-operation-name",
    "x-penstock-cost",
    "x-penstock-preflight",
    "x-penstock-workspace",
    "x-request-id",
)
EXPOSED_HEADERS: Final = ("ratelimit", "ratelimit-policy", "retry-after", "x-request-id")
CORS_SECONDS: Final = 600

Respond = Callable[[Request], Awaitable[Response]]


def create_web(
    operations: Operations,
    entrance: Entrance,
    websocket: ASGIApp,
    health: Health,
    metrics: Metrics,
    *,
    jwks: Respond | None = None,
    auth: ASGIApp | None = None,
    gate: RateLimits | None = None,
    demo: str | None = None,
    cors_origins: Sequence[str] = (),
    allowed_hosts: Sequence[str] | None = None,
    slow_operation_ms: float = 500,
    body_limit: int = 16 * 1024 * 1024,
    batch_limit: int = 10,
    crowd: Crowd | None = None,
    with_graphiql: bool = True,
    with_metrics: bool = True,
    metrics_token: str | None = None,
    trusted_proxies: Sequence[str] = (),
    https_alone: bool = False,
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """The application over one schema's operations; `websocket` serves `/graphql` to sockets.

    `auth` serves what is below `/auth`, its requests counted by `gate`; `demo` is the address of the user whom GraphiQL signs in with one click.
    `allowed_hosts` are names the service may be called by beside `localhost` and addresses; None: any.
    `trusted_proxies` are addresses and networks that are believed who asks; `https_alone` tells browsers never to
    come by plain HTTP again.
    """
    graphiql = Graphiql(demo=demo) if with_graphiql else None
    page = graphiql.page if graphiql else None
    endpoint = GraphQLEndpoint(
        operations, entrance, metrics, page, body_limit, batch_limit=batch_limit, crowd=crowd
    )
    routes: list[BaseRoute] = [
        Route("/graphql", endpoint),
        WebSocketRoute("/graphql", websocket),
        *([Route("/.well-known/jwks.json", jwks, methods=["GET"])] if jwks else []),
        Route("/healthz", health.healthz, methods=["GET"]),
        Route("/readyz", health.readyz, methods=["GET"]),
    ]
    if auth:
        routes.append(Mount("/auth", Visits(auth, gate) if gate else auth))
    if graphiql:
        routes.append(Route("/", _home, methods=["GET"]))
        routes.append(Mount("/static/graphiql", graphiql.asset))
    if with_metrics:
        guarded = Guarded(metrics, metrics_token)
        routes.append(Route("/metrics", guarded.endpoint, methods=["GET"]))
    middleware = [
        Middleware(Proxies, trusted=trusted_proxies),
        Middleware(Requests, slow_ms=slow_operation_ms, https_alone=https_alone, metrics=metrics),
        Middleware(Callers, origins=cors_origins, hosts=allowed_hosts),
    ]
    if cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(cors_origins),
                allow_methods=["GET", "POST"],
                allow_headers=list(CORS_HEADERS),
                expose_headers=list(EXPOSED_HEADERS),
                max_age=CORS_SECONDS,
            )
        )
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


async def _home(request: Request) -> Response:
    return RedirectResponse("/graphql", 307)


def create_metrics_web(metrics: Metrics, token: str | None = None) -> Starlette:
    """`/metrics` alone, for a port of its own."""
    return Starlette(routes=[Route("/metrics", Guarded(metrics, token).endpoint, methods=["GET"])])
