"""GraphQL over HTTP (draft of 2026): POST and GET on one path, one operation a request or a batch of them."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import orjson
from graphql import GraphQLError, GraphQLSyntaxError, OperationType
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.identity import Forbidden, Unauthenticated
from infra.web.admission import STRANGERS_BYTES, Admission, offer_in
from infra.web.batches import answer_batch
from infra.web.crowd import Crowd, TooMany
from infra.web.entrance import Entrance
from infra.web.limits import RATE_LIMITED, identity
from infra.web.metrics import Metrics
from infra.web.negotiation import EVENTS, GRAPHQL, JSON, Accept
from infra.web.operations import Operations, Prepared, Request, RequestRefused
from infra.web.parameters import (
    Refusal,
    check_content_type,
    check_preflight,
    from_body,
    from_url,
    read_body,
)
from infra.web.requests import note_of
from infra.web.sse import Listener, event_stream
from infra.web.waiting import Client
from schema.errors import STATUSES

BODY_SECONDS: Final = 30.0
STALL_SECONDS: Final = 60.0
UNAUTHORIZED: Final = 401
UNPROCESSABLE: Final = 422
COST_HEADER: Final = "x-penstock-cost"


class GraphQLEndpoint:
    """Serves queries and mutations; subscriptions as server-sent events, and GraphiQL to browsers."""

    def __init__(
        self,
        operations: Operations,
        entrance: Entrance,
        metrics: Metrics,
        graphiql: ASGIApp | None = None,
        body_limit: int = 16 * 1024 * 1024,
        stall_seconds: float = STALL_SECONDS,
        batch_limit: int = 10,
        crowd: Crowd | None = None,
    ) -> None:
        self._operations = operations
        self._entrance = entrance
        self._metrics = metrics
        self._graphiql = graphiql
        self._body_limit = body_limit
        self._stall = stall_seconds
        self._batch_limit = batch_limit
        self._crowd = crowd or Crowd()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        accept = Accept.parse(headers.get("accept"))
        if scope["method"] in {"GET", "HEAD"} and self._graphiql and accept.prefers_html:
            await self._graphiql(scope, receive, send)
            return
        note = note_of(scope)
        try:
            await self._serve(scope, headers, accept, receive, send)
        except Refusal as refusal:
            error = GraphQLError(refusal.message, extensions={"code": refusal.code})
            await self._refuse([error], note.request_id, refusal, send)
        except RequestRefused as refused:
            note.carry(refused.headers)
            await self._refuse(refused.errors, note.request_id, None, send)
        except (Unauthenticated, Forbidden) as refused:
            error = GraphQLError(str(refused), original_error=refused)
            await self._refuse([error], note.request_id, None, send)
        except ConnectionError:
            note.outcome = "abandoned"

    async def _serve(
        self, scope: Scope, headers: Headers, accept: Accept, receive: Receive, send: Send
    ) -> None:
        note = note_of(scope)
        media = self._media(accept)
        changes = self._entrance.changes
        admission = await self._admit(scope, headers)
        caller = admission.caller(scope, note.request_id)
        limit = self._body_limit if admission.viewer else min(self._body_limit, STRANGERS_BYTES)
        request = await self._read(scope, headers, receive, limit)
        show_cost = headers.get(COST_HEADER, "").lower() == "true"

        def prepare(one: Request) -> Prepared:
            prepared = self._operations.prepare(one, caller)
            prepared.show_cost |= show_cost
            return prepared

        async def count(prepared: Prepared) -> None:
            note.carry(await self._operations.admit(prepared))

        if isinstance(request, list):
            if not accept.accepts(JSON):
                raise Refusal(406, f"Batches need Accept: {JSON}")

            async def counted(one: Request) -> Prepared:
                prepared = prepare(one)
                await count(prepared)
                return prepared

            async with Client(receive) as asking:
                body = await answer_batch(
                    self._operations, request, counted, asking, note.request_id
                )
            await respond(send, 200, JSON, body)
            return
        prepared = prepare(request)
        note.operation, note.kind = prepared.name, prepared.kind.value
        await count(prepared)  # also what is refused below: preparing it has taken its time
        if scope["method"] == "GET" and prepared.kind is OperationType.MUTATION:
            raise Refusal(405, "Mutations need POST", allow="POST")
        if prepared.kind is not OperationType.SUBSCRIPTION and media != EVENTS:
            async with Client(receive) as asking:
                body = await asking.answer(self._operations.answer(prepared), prepared.kind)
            await respond(send, 200, media, body)
            return
        if not accept.accepts(EVENTS):
            raise Refusal(406, f"Subscriptions need Accept: {EVENTS}, or a WebSocket")
        listener = Listener(self._operations, prepared, self._entrance, admission, scope, changes)
        try:
            with self._crowd.place() as place:
                place.belongs_to(identity(caller))
                await self._stream(listener, scope, receive, send)
        except TooMany as full:
            crowded = GraphQLError(str(full), extensions={"code": RATE_LIMITED})
            raise RequestRefused([crowded]) from full

    async def _admit(self, scope: Scope, headers: Headers) -> Admission:
        client = scope.get("client")
        address = client[0] if client else None
        try:
            offer = offer_in(headers)
            if not self._entrance.knows(offer):
                self._operations.check_credentials(address)
            return await self._entrance.admit(offer)
        except (Unauthenticated, Forbidden):
            await self._operations.refused_credential(address)
            raise
        except RequestRefused:
            raise
        except Exception as error:
            raise RequestRefused([GraphQLError(str(error), original_error=error)]) from error

    def _media(self, accept: Accept) -> str:
        media = accept.best(GRAPHQL, JSON, EVENTS)
        if media is None:
            raise Refusal(406, f"Accept {GRAPHQL}, {JSON} or {EVENTS}")
        return media

    async def _read(
        self, scope: Scope, headers: Headers, receive: Receive, limit: int
    ) -> Request | list[Request]:
        method = scope["method"]
        if method == "POST":
            check_content_type(headers)
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await read_body(headers, receive, limit)
            except TimeoutError as error:
                raise Refusal(
                    408, f"The request took longer than {BODY_SECONDS:g} s to arrive"
                ) from error
            return from_body(body, self._batch_limit)
        if method == "GET":
            check_preflight(headers)
            return from_url(scope["query_string"])
        raise Refusal(
            405, f"{method} is not supported; use POST, or GET for queries", allow="GET, POST"
        )

    async def _stream(self, listener: Listener, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._stall):
                    await send(message)
            except TimeoutError as error:
                raise ConnectionError("The client does not read") from error

        await event_stream(listener)(scope, receive, send_in_time)

    async def _refuse(
        self,
        errors: Sequence[GraphQLError],
        request_id: str,
        refusal: Refusal | None,
        send: Send,
    ) -> None:
        formatted = self._operations.errors(errors, request_id=request_id)
        status = refusal.status if refusal else _status(errors, formatted)
        self._metrics.refused(status)
        # The body is a whole GraphQL response without data; its own type says so even to those who asked for
        # plain JSON, as the draft asks of every status that is no success.
        body = orjson.dumps({"errors": formatted})
        more = []
        if refusal is not None and refusal.allow is not None:
            more.append((b"allow", refusal.allow.encode()))
        if status == UNAUTHORIZED:
            more.append((b"www-authenticate", b'Bearer error="invalid_token"'))
        await respond(send, status, GRAPHQL, body, more)


def _status(errors: Sequence[GraphQLError], formatted: Sequence[dict[str, Any]]) -> int:
    if any(isinstance(error, GraphQLSyntaxError) for error in errors):
        return 400
    codes = [STATUSES.get(error["extensions"]["code"], UNPROCESSABLE) for error in formatted]
    return max(codes, default=UNPROCESSABLE)


async def respond(
    send: Send,
    status: int,
    media: str,
    body: bytes,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Send a whole response that no cache may keep."""
    headers = [
        (b"content-type", f"{media}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"vary", b"accept"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
