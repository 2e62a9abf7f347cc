"""GraphQL over server-sent events, for clients behind proxies that refuse WebSocket.

The "distinct connections" mode of graphql-sse: one request, one operation, `next` events, then `complete`.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import orjson
from graphql import GraphQLError, OperationType
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from infra.realtime.sharing import Stopping
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


def event_stream(
    operations: Operations, prepared: Prepared, keep_alive_seconds: float = KEEP_ALIVE_SECONDS
) -> EventStream:
    """A response that goes on until the operation or the client ends it."""
    return EventStream(_events(operations, prepared, keep_alive_seconds))


async def _events(
    operations: Operations, prepared: Prepared, keep_alive_seconds: float
) -> AsyncGenerator[bytes, None]:
    try:
        if prepared.kind is OperationType.SUBSCRIPTION:
            yield KEEP_ALIVE
            async with aclosing(_live(operations, prepared, keep_alive_seconds)) as chunks:
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


async def _live(
    operations: Operations, prepared: Prepared, keep_alive_seconds: float
) -> AsyncGenerator[bytes, None]:
    async with aclosing(operations.subscribe(prepared)) as events:
        pending = asyncio.ensure_future(anext(events))
        try:
            while True:
                done, _ = await asyncio.wait({pending}, timeout=keep_alive_seconds)
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
