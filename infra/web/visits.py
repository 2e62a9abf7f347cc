"""Counts requests to paths beside GraphQL's by where they come from."""

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.web.limits import RateLimits
from infra.web.negotiation import JSON
from infra.web.operations import RequestRefused
from infra.web.requests import note_of


class Visits:
    """Lets so many requests of an address through to `app`."""

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 429."""
        client = scope.get("client")
        note = note_of(scope)
        try:
            note.carry(await self._limits.visit(client[0] if client else None))
        except RequestRefused as refused:
            note.carry(refused.headers)
            errors = [error.formatted for error in refused.errors]
            await Response(orjson.dumps({"errors": errors}), 429, media_type=JSON)(
                scope, receive, send
            )
            return
        await self._app(scope, receive, send)
