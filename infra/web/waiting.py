"""Whether a client still waits for its answer."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Self

from graphql import OperationType
from starlette.types import Receive

STOP_SECONDS: Final = 5.0


class Client:
    """Who asked; what nobody waits for any more is not gone on with, but mutations run to their end."""

    def __init__(self, receive: Receive) -> None:
        self._gone: asyncio.Future[None] = asyncio.ensure_future(_disconnected(receive))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await _end(self._gone)

    def check(self) -> None:
        """Raise ConnectionError when the client has left."""
        if self._gone.done():
            raise ConnectionError("The client left")

    async def answer(self, answer: Coroutine[Any, Any, bytes], kind: OperationType) -> bytes:
        """What an operation answers; raises ConnectionError when its client leaves a query."""
        work = asyncio.ensure_future(answer)
        waited: set[asyncio.Future[Any]] = {work}
        if kind is OperationType.QUERY:
            waited.add(self._gone)
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            raise ConnectionError("The client left")
        finally:
            await _end(work)


async def _end(task: asyncio.Future[Any]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=STOP_SECONDS)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
