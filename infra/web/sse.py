"""GraphQL over server-sent events, for clients behind proxies that refuse WebSocket.

The "distinct connections" mode of graphql-sse: one request, one operation, `next` events, then `complete`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import orjson
from graphql import OperationType
from starlette.responses import StreamingResponse

from infra.web.operations import Operations, Prepared, RequestRefused

KEEP_ALIVE_SECONDS = 12.0
COMPLETE = b"event: complete\ndata: \n\n"
KEEP_ALIVE = b":\n\n"


def event_stream(operations: Operations, prepared: Prepared) -> StreamingResponse:
    """A response that goes on until the operation or the client ends it."""
    return StreamingResponse(
        _events(operations, prepared),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
    )


async def _events(operations: Operations, prepared: Prepared) -> AsyncIterator[bytes]:
    if prepared.kind is not OperationType.SUBSCRIPTION:
        yield _next(operations.encode(prepared, await operations.execute(prepared)))
        yield COMPLETE
        return
    yield KEEP_ALIVE
    try:
        async for chunk in _live(operations, prepared):
            yield chunk
    except RequestRefused as refused:
        errors = operations.errors(refused.errors, prepared)
        yield _next(orjson.dumps({"errors": errors}))
    yield COMPLETE


async def _live(operations: Operations, prepared: Prepared) -> AsyncIterator[bytes]:
    async with aclosing(operations.subscribe(prepared)) as events:
        pending = asyncio.ensure_future(anext(events))
        try:
            while True:
                done, _ = await asyncio.wait({pending}, timeout=KEEP_ALIVE_SECONDS)
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


def _next(payload: bytes) -> bytes:
    return b"event: next\ndata: " + payload + b"\n\n"
