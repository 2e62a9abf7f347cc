"""Whether the process lives, and whether it can serve: each thing it depends on, by name."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any, Final

import orjson
from loguru import logger
from starlette.requests import Request
from starlette.responses import Response

Check = Callable[[], Awaitable[object]]
"""Returns when the dependency answers; raises when it does not."""

CHECK_SECONDS: Final = 2.0


class Health:
    """The checks of one process. `draining` says that it stops, so that nobody sends it more."""

    def __init__(self, checks: Mapping[str, Check], timeout_seconds: float = CHECK_SECONDS) -> None:
        self.draining = False
        self._checks = dict(checks)
        self._timeout = timeout_seconds
        self._down: set[str] = set()
        self._asking: asyncio.Task[list[dict[str, Any]]] | None = None

    async def state(self) -> dict[str, Any]:
        """The whole state; every dependency with `state` (up or down) and `latencyMs`.

        Whoever asks meanwhile gets the same answer, so that asking often burdens no dependency.
        """
        names = list(self._checks)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._check_all(), name="readiness")
        states = await asyncio.shield(self._asking)
        ready = not self.draining and all(state["state"] == "up" for state in states)
        status = "draining" if self.draining else "ready" if ready else "unready"
        return {"status": status, "checks": dict(zip(names, states, strict=True))}

    async def healthz(self, request: Request) -> Response:
        """`/healthz`: 200 as long as the process answers at all."""
        return _json(200, {"status": "alive"})

    async def readyz(self, request: Request) -> Response:
        """`/readyz`: 200 when every dependency answers, else 503."""
        state = await self.state()
        return _json(200 if state["status"] == "ready" else 503, state)

    async def _check_all(self) -> list[dict[str, Any]]:
        return await asyncio.gather(*(self._check(name) for name in self._checks))

    async def _check(self, name: str) -> dict[str, Any]:
        start = perf_counter()
        problem = None
        try:
            async with asyncio.timeout(self._timeout):
                await self._checks[name]()
        except TimeoutError:
            problem = f"no answer within {self._timeout:g} s"
        except Exception as error:  # noqa: BLE001 # whatever it raises, the dependency is down
            problem = type(error).__name__  # its text may name hosts and users
            if name not in self._down:
                logger.warning("{} is down: {!r}", name, error)
        latency = round((perf_counter() - start) * 1000, 3)
        if problem is None:
            self._down.discard(name)
            return {"state": "up", "latencyMs": latency}
        self._down.add(name)
        return {"state": "down", "latencyMs": latency, "problem": problem}


def _json(status: int, body: Mapping[str, Any]) -> Response:
    return Response(
        orjson.dumps(body), status, {"cache-control": "no-store"}, media_type="application/json"
    )
