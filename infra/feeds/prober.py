"""A connector tried out for a few seconds: what it would bring, nothing stored."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from domain.connectors import Connector, ConnectorProtocol, Secrets, masked
from domain.messages import CannotNormalise, ProbeResult, Tick
from domain.ports import Clock
from infra import redaction
from infra.feeds.budget import RateBudget
from infra.feeds.faults import fault_of
from infra.feeds.frames import Cut
from infra.feeds.guard import Guard
from infra.feeds.keepalive import keepalive_of
from infra.feeds.receiver import Normalise, complaint, source_of
from infra.feeds.rest import Fetcher, PollOptions
from infra.feeds.socket import Dialler, SocketOptions
from infra.feeds.status import values_of

PROBE_SECONDS = 10.0


class FeedProber:
    """Implements Prober over the same code that runs connectors."""

    def __init__(
        self,
        guard: Guard,
        budget: RateBudget,
        normalise: Normalise,
        clock: Clock,
        *,
        frame_limit: int = 1_048_576,
        probe_seconds: float = PROBE_SECONDS,
        socket: SocketOptions | None = None,
        poll: PollOptions | None = None,
        time: Callable[[], float] = perf_counter,
    ) -> None:
        self._guard = guard
        self._budget = budget
        self._normalise = normalise
        self._clock = clock
        self._frame_limit = frame_limit
        self._probe_seconds = probe_seconds
        self._socket = socket or SocketOptions()
        self._poll = poll or PollOptions()
        self._time = time

    async def probe(self, connector: Connector, secrets: Secrets) -> ProbeResult:
        """Fetch once, or listen for up to 10 s for the first message."""
        began = self._time()
        seen = _Seen()
        error: str | None = None
        try:
            async with asyncio.timeout(self._probe_seconds):
                if connector.protocol is ConnectorProtocol.REST:
                    await self._fetch(connector, secrets, seen)
                else:
                    await self._listen(connector, secrets, seen)
        except CannotNormalise as problem:
            error = f"a message came that is not understood: {problem.explanation}"
        except TimeoutError as late:
            error = self._late(seen, late)
        except Exception as problem:  # noqa: BLE001 - every problem is an answer here
            error = fault_of(problem).explanation
        if error is None and not seen.ticks:
            error = "the source answered, but with no message"
        return ProbeResult(
            ok=error is None,
            duration_ms=round((self._time() - began) * 1000, 3),
            frame=seen.frame,
            ticks=tuple(seen.ticks),
            error=None if error is None else _without(secrets, error),
        )

    def _late(self, seen: "_Seen", late: TimeoutError) -> str:
        if seen.connected:
            said = complaint(seen.frame or b"")
            if said is not None:
                return said
            return f"connected, but no message came within {self._probe_seconds:g} s"
        return str(late) or f"no answer within {self._probe_seconds:g} s"

    async def _fetch(self, connector: Connector, secrets: Secrets, seen: "_Seen") -> None:
        fetcher = Fetcher(connector, secrets, self._guard, self._budget, self._clock, self._poll)
        try:
            fetched = await fetcher.fetch()
        finally:
            await fetcher.close()
        if fetched.body is None:
            return
        seen.frame = fetched.body[: self._frame_limit]
        if fetched.cut_from is not None:
            limit = self._poll.response_limit_bytes
            raise ValueError(f"the answer is larger than the limit of {limit} bytes")
        self._understand(connector, secrets, fetched.body, seen)

    async def _listen(self, connector: Connector, secrets: Secrets, seen: "_Seen") -> None:
        keepalive = keepalive_of(connector.venue)
        dialler = Dialler(
            connector, secrets, self._guard, self._clock, self._frame_limit, self._socket
        )
        async with dialler.open() as connection:
            seen.connected = True
            subscribing = asyncio.create_task(dialler.subscribe(connection))
            try:
                while not seen.ticks:
                    for frame in await connection.messages():
                        if isinstance(frame, Cut):
                            seen.frame = frame.kept
                        elif keepalive.speaks(frame):
                            if (answer := keepalive.answer(frame)) is not None:
                                await dialler.send(connection, answer)
                        elif not seen.ticks:
                            seen.frame = frame
                            self._understand(connector, secrets, frame, seen)
            finally:
                subscribing.cancel()
                await asyncio.gather(subscribing, return_exceptions=True)

    def _understand(
        self, connector: Connector, secrets: Secrets, frame: bytes, seen: "_Seen"
    ) -> None:
        source = source_of(connector.url, secrets.query_parameters)
        seen.ticks = self._normalise(connector.venue, frame, source, connector.mapping)


class _Seen:
    """What a probe has seen so far."""

    def __init__(self) -> None:
        self.connected = False
        self.frame: bytes | None = None
        self.ticks: list[Tick] = []


def _without(secrets: Secrets, text: str) -> str:
    known = redaction.Secrets()
    known.add(*values_of(secrets))
    return redaction.redact(masked(text, secrets), known)
