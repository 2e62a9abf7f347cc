"""GraphQL over server-sent events, for clients behind proxies that refuse WebSocket.

The "distinct connections" mode of graphql-sse: one request, one operation, `next` events, then `complete`.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Self

import orjson
from graphql import GraphQLError, OperationType
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from domain.identity import Unauthenticated
from infra.realtime.sharing import Stopping
from infra.web.admission import Admission
from infra.web.entrance import Entrance
from infra.web.operations import Operations, Prepared, RequestRefused

KEEP_ALIVE_SECONDS = 12.0
COMPLETE = b"event: complete\ndata: \n\n"
KEEP_ALIVE = b":\n\n"


class EventStream(StreamingResponse):
    """A response that frees what it follows as soon as its client is gone, and not when the collector comes by."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until either side ends them."""
        async with aclosing(self._events):
            await super().__call__(scope, receive, send)


class Listener:
    """Somebody who follows one subscription; a `Guest` of the entrance, admitted at its so manieth change."""

    def __init__(
        self,
        operations: Operations,
        prepared: Prepared,
        entrance: Entrance,
        admission: Admission,
        scope: Scope,
        since: int | None = None,
    ) -> None:
        self.operations = operations
        self.prepared = prepared
        self.admission = admission
        self._entrance = entrance
        self._since = since
        self._scope = scope
        self._timer: asyncio.TimerHandle | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Raises why nothing more is sent."""

    def __enter__(self) -> Self:
        self._entrance.enter(self, self._since)
        self._time()
        return self

    def __exit__(self, *_: object) -> None:
        self._entrance.leave(self)
        if self._timer is not None:
            self._timer.cancel()

    def show_out(self, reason: str) -> None:
        """End: nothing is allowed any more."""
        gone = Unauthenticated(reason)
        self._stop(RequestRefused([GraphQLError(str(gone), original_error=gone)]))

    async def readmit(self, admission: Admission) -> None:
        """Go on with these rights, or end when they no longer allow it."""
        before, self.admission = self.admission, admission
        self._time()
        if before.viewer == admission.viewer:
            return
        try:
            caller = admission.caller(self._scope, self.prepared.request_id)
            await self.operations.again(self.prepared, caller)
        except RequestRefused as refused:
            self._stop(refused)

    def _time(self) -> None:
        """Listen until the credential ends, if it does."""
        if self._timer is not None:
            self._timer.cancel()
        if (ends := self.admission.expires_at) is not None:
            seconds = (ends - datetime.now(UTC)).total_seconds()
            # Ended without `complete`: the client comes back, with a new token if it has one.
            self._timer = self.over.get_loop().call_later(seconds, self._stop, Stopping())

    def _stop(self, why: Exception) -> None:
        if not self.over.done():
            self.over.set_exception(why)
            self.over.exception()  # known, also when nobody waits any more


def event_stream(listener: Listener, keep_alive_seconds: float = KEEP_ALIVE_SECONDS) -> EventStream:
    """A response that goes on until the operation, its rights or the client end it."""
    return EventStream(_events(listener, keep_alive_seconds))


async def _events(listener: Listener, keep_alive_seconds: float) -> AsyncGenerator[bytes, None]:
    operations, prepared = listener.operations, listener.prepared
    try:
        if prepared.kind is OperationType.SUBSCRIPTION:
            yield KEEP_ALIVE
            with listener:
                async with aclosing(_live(listener, keep_alive_seconds)) as chunks:
                    async for chunk in chunks:
                        yield chunk
        else:
            yield _next(await operations.answer(prepared))
    except Stopping:  # without `complete`, so that the client comes back
        return
    except RequestRefused as refused:
        yield _refusal(operations, prepared, refused.errors)
    except Exception as error:  # noqa: BLE001 - told to the client, masked, and logged by `errors`
        masked = GraphQLError("Internal error", original_error=error)
        yield _refusal(operations, prepared, [masked])
    yield COMPLETE


async def _live(listener: Listener, keep_alive_seconds: float) -> AsyncGenerator[bytes, None]:
    over = listener.over
    async with aclosing(listener.operations.subscribe(listener.prepared)) as events:
        pending = asyncio.ensure_future(anext(events))
        try:
            while True:
                waited: set[asyncio.Future[Any]] = {pending, over}
                done, _ = await asyncio.wait(
                    waited,
                    timeout=keep_alive_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if over.done():
                    over.result()
                if not done:
                    yield KEEP_ALIVE
                    continue
                try:
                    payloads = pending.result()
                except StopAsyncIteration:
                    break
                yield b"".join(_next(payload) for payload in payloads)
                pending = asyncio.ensure_future(anext(events))
        finally:
            pending.cancel()
            await asyncio.wait({pending})


def _refusal(operations: Operations, prepared: Prepared, errors: Sequence[GraphQLError]) -> bytes:
    return _next(orjson.dumps({"errors": operations.errors(errors, prepared)}))


def _next(payload: bytes) -> bytes:
    if (
        b"\n" in payload or b"\r" in payload
    ):  # within what a venue sent, which is passed on as it is
        payload = b"\ndata: ".join(payload.splitlines())
    return b"event: next\ndata: " + payload + b"\n\n"
