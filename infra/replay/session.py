"""One WebSocket connection to a replayed venue: what it subscribed, playing it, and misbehaving when asked."""

import asyncio
import contextlib
import json
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar

from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected

from infra.replay.faults import Fault, FaultKind, Transport, corrupted
from infra.replay.stage import LoggedRequest, Stage
from infra.replay.tape import Piece, Tape
from infra.replay.templates import SECOND
from infra.replay.wire import BINARY, EXTENSION, PING, TEXT, WireSocket, encoded

BATCH_FRAMES = 512
BATCH_BYTES = 256 * 1024
LONGEST_WAIT_NS = 10 * SECOND
SHORTEST_WAIT_NS = SECOND // 1000
SUBSCRIPTION_LIMIT = 1024

_FRAME_FAULTS = frozenset(FaultKind) - {FaultKind.STATUS}
_HANDSHAKE_FAULTS = frozenset({FaultKind.STATUS})


class Session(ABC):
    """A connection; a venue's subclass speaks its protocol by `opened`, `heard` and `jobs`."""

    venue: ClassVar[str]

    def __init__(self, stage: Stage, tape: Tape, wire: WireSocket, request: LoggedRequest) -> None:
        self.stage = stage
        self.options = stage.options
        self.tape = tape
        self.wire = wire
        self.request = request
        self.subscribed: dict[str, None] = {}
        self.last_traffic_ns = stage.clock()
        self._selection: list[int] = []
        self._place = 0
        self._origin: int | None = None
        self._changed = asyncio.Event()
        self._held: bytes | None = None

    async def opened(self) -> None:  # noqa: B027 - most venues say nothing
        """Called once the handshake is done."""

    @abstractmethod
    async def heard(self, text: str) -> None:
        """A text message of the client; anything that is no JSON of this venue is answered as the venue would."""

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """What runs beside playing and listening, for as long as the connection lasts."""
        return []

    def render(self, piece: Piece, turn: int, due_ns: int) -> bytes:
        """A frame as this connection gets it."""
        return piece.template.render(turn, due_ns)

    def reply(self, message: bytes | dict[str, Any]) -> None:
        """Send a control message."""
        text = message if isinstance(message, bytes) else compact(message)
        self.wire.write(encoded(text))
        self.last_traffic_ns = self.stage.clock()

    def subscribe(self, streams: Sequence[str]) -> None:
        """Play these streams too, each from its last snapshot when it has one."""
        fresh = [name for name in streams if name not in self.subscribed]
        had_none = not self._selection
        self.subscribed.update(dict.fromkeys(fresh))
        self._selection = self.tape.selection(list(self.subscribed))
        if self.options.loop and had_none:
            self._place = self.tape.place_after(self.stage.clock())
        if not self.options.loop and self._origin is None and self._selection:
            self._origin = self.stage.clock()
        for place in self._missed(fresh):
            self.wire.write(encoded(self._rendered(place)))
        self._changed.set()

    def unsubscribe(self, streams: Sequence[str]) -> None:
        """Play these streams no more."""
        for name in streams:
            self.subscribed.pop(name, None)
        self._selection = self.tape.selection(list(self.subscribed))
        self._changed.set()

    def _missed(self, fresh: Sequence[str]) -> list[int]:
        """What a subscriber of these streams is owed at once: the book's state, or all when nothing loops."""
        if not self.options.loop:
            return [index for index in self.tape.selection(fresh) if index < self._place]
        missed = {place for name in fresh for place in self.tape.since_snapshot(name, self._place)}
        return sorted(missed)

    async def hang_up(self, abrupt: bool, code: int = 1012) -> None:
        """End the connection, with a closing handshake or without."""
        if abrupt:
            self.wire.abort()
        else:
            await self.close(code)

    async def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake."""
        self.wire.silent = False
        with contextlib.suppress(ClientDisconnected):
            await self.wire.send({"type": "websocket.close", "code": code, "reason": reason})

    async def run(self, receive: Receive) -> None:
        """Serve until either side ends it."""
        await self.opened()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in (self._play(), *self.jobs())]
            await self._listen(receive)
            for task in tasks:
                task.cancel()

    async def _listen(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            self.last_traffic_ns = self.stage.clock()
            text = message.get("text")
            if text is None:
                text = (message.get("bytes") or b"").decode("utf-8", "replace")
            self.request.said.append(text)
            await self.heard(text)
            await self.wire.drained()

    async def _play(self) -> None:
        while True:
            self._changed.clear()
            now = self.stage.clock()
            batch = self._due(now)
            if batch:
                await self._send(batch)
                await asyncio.sleep(0)
            await self._wait()

    def _due(self, now_ns: int) -> list[bytes]:
        """The next frames whose time has come, no more than a batch."""
        batch: list[bytes] = []
        if not self._selection:
            return batch
        limit = self.tape.place_after(now_ns, self._origin)
        if not self.options.loop:
            limit = min(limit, len(self.tape))
        size = 0
        while len(batch) < BATCH_FRAMES and size < BATCH_BYTES:
            place = self.tape.next_of(self._selection, self._place)
            if place >= limit:
                break
            batch.append(self._rendered(place))
            size += len(batch[-1])
            self._place = place + 1
        return batch

    def _rendered(self, place: int) -> bytes:
        turn, index = divmod(place, len(self.tape))
        return self.render(self.tape.pieces[index], turn, self.tape.due_ns(place, self._origin))

    async def _wait(self) -> None:
        """Until the next frame is due or the subscriptions change."""
        wait = LONGEST_WAIT_NS
        if self._selection:
            place = self.tape.next_of(self._selection, self._place)
            over = not self.options.loop and place >= len(self.tape)
            if not over:
                wait = self.tape.due_ns(place, self._origin) - self.stage.clock()
        if wait <= 0:
            return
        try:
            async with asyncio.timeout(max(SHORTEST_WAIT_NS, min(wait, LONGEST_WAIT_NS)) / SECOND):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _send(self, batch: list[bytes]) -> None:
        if self._held is not None or self.stage.faults.reach(self.venue, Transport.WEBSOCKET):
            for frame in batch:
                if not await self._send_one(frame):
                    break
        else:
            self.wire.write(b"".join(map(encoded, batch)))
            await self.wire.drained()
        self.stage.frames_sent[self.venue] += len(batch)
        self.last_traffic_ns = self.stage.clock()

    async def _send_one(self, frame: bytes) -> bool:
        """A frame past the faults, each that strikes having its way with it; False when what follows is void."""
        opcode, copies, hold = TEXT, 1, False
        strikes = self.stage.faults.strike(self.venue, Transport.WEBSOCKET, _FRAME_FAULTS)
        for id, fault, dice in strikes:
            match fault.kind:
                case FaultKind.CORRUPT:
                    frame, opcode = _damaged(frame, fault, dice)
                case FaultKind.DUPLICATE:
                    copies = 2
                case FaultKind.REORDER:
                    hold = self._held is None
                case FaultKind.SLOW:
                    await asyncio.sleep(fault.seconds or 0)
                case FaultKind.SILENCE:
                    await self._go_silent(id, fault)
                    return False
                case FaultKind.DISCONNECT | FaultKind.ABORT:
                    await self.hang_up(fault.kind is FaultKind.ABORT, fault.close_code)
                    return False
        ready = encoded(frame, opcode) * copies
        if hold:
            self._held = ready
            return True
        self.wire.write(ready if self._held is None else ready + self._held)
        self._held = None
        await self.wire.drained()
        return True

    async def _go_silent(self, id: int, fault: Fault) -> None:
        """Say nothing for a while; what was due meanwhile is never sent."""
        self.wire.silent = True
        until = None if fault.seconds is None else self.stage.clock() + int(fault.seconds * SECOND)
        while until is None or self.stage.clock() < until:
            if not self.stage.faults.holds(id):
                break
            left = 0.05 if until is None else (until - self.stage.clock()) / SECOND
            await asyncio.sleep(max(0, min(0.05, left)))
        self.wire.silent = False
        self._place = max(self._place, self.tape.place_after(self.stage.clock(), self._origin))

    async def ping(self) -> None:
        """Ping as often as the options say; a client that leaves pings unanswered too long is let go."""
        answered = self.stage.clock()

        def on_pong(_: bytes) -> None:
            nonlocal answered
            answered = self.stage.clock()

        self.wire.on_pong = on_pong
        while True:
            await asyncio.sleep(self.options.ping_interval)
            now = self.stage.clock()
            if now - answered > (self.options.ping_interval + self.options.pong_timeout) * SECOND:
                await self.close(1008, "Pong timeout")
                return
            self.wire.write(encoded(str(now // 1_000_000).encode(), PING))


def logged(venue: str, scope: Scope, body: bytes = b"") -> LoggedRequest:
    """The log entry of a request or handshake."""
    connection = HTTPConnection(scope)
    return LoggedRequest(
        at_ns=time.time_ns(),
        venue=venue,
        method=scope.get("method", "WEBSOCKET"),
        path=scope["path"],
        query=dict(connection.query_params),
        raw_query=scope["query_string"].decode("latin-1"),
        headers=dict(connection.headers),
        body=body,
    )


async def serve_session(
    session_type: type[Session],
    stage: Stage,
    tape: Tape,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer a handshake and run its session; STATUS faults refuse it."""
    request = logged(session_type.venue, scope)
    stage.requests.append(request)
    await receive()
    strikes = stage.faults.strike(session_type.venue, Transport.WEBSOCKET, _HANDSHAKE_FAULTS)
    for _, fault, _ in strikes:
        request.status = fault.status
        retry_after = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
        await refuse(scope, send, fault.status, retry_after)
        return
    request.status = 101
    await send({"type": "websocket.accept"})
    session = session_type(stage, tape, scope["extensions"][EXTENSION], request)
    stage.sessions.add(session)
    stage.opened[session.venue] += 1
    try:
        await session.run(receive)
    finally:
        stage.sessions.discard(session)


async def refuse(scope: Scope, send: Send, status: int, headers: dict[str, str]) -> None:
    """Answer a handshake with an HTTP error."""
    start: Message = {
        "type": "websocket.http.response.start",
        "status": status,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await send(start)
    await send({"type": "websocket.http.response.body", "body": b""})
    scope["extensions"][EXTENSION].handshake_complete = True  # uvicorn forgets, and logs an error


def _damaged(frame: bytes, fault: Fault, dice: random.Random) -> tuple[bytes, int]:
    damaged, binary = corrupted(frame, fault, dice)
    return damaged, BINARY if binary else TEXT


def compact(message: Any) -> bytes:
    """JSON as exchanges write it: no blanks, UTF-8."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
