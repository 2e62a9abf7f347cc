"""GraphQL over WebSocket: the graphql-transport-ws protocol, as plain ASGI.

Each subscription writes straight from its outbox to the socket: an event's bytes are made once for all
subscribers, and only the frame around them is this client's own.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Annotated, Any, TypeAlias
from uuid import uuid4

import msgspec
import orjson
from graphql import GraphQLError, OperationType
from loguru import logger

from infra.logs import timed
from infra.realtime.sharing import Stopping
from infra.web.operations import Operations, Prepared, Request, RequestRefused

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

SUBPROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
OPERATIONS_PER_SOCKET = 200
STOP_SECONDS = 5.0
GO_AWAY_SECONDS = 1.0
REASON_BYTES = 120  # a close frame holds 123

BAD_REQUEST = 4400
UNAUTHORIZED = 4401
SUBPROTOCOL_UNACCEPTABLE = 4406
INIT_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_INITS = 4429


_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Payload(msgspec.Struct, rename="camel"):
    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


class _ConnectionInit(msgspec.Struct, tag="connection_init"):
    payload: dict[str, Any] | None = None


class _Ping(msgspec.Struct, tag="ping"):
    payload: dict[str, Any] | None = None


class _Pong(msgspec.Struct, tag="pong"):
    payload: dict[str, Any] | None = None


class _Subscribe(msgspec.Struct, tag="subscribe"):
    id: _Id
    payload: _Payload


class _Complete(msgspec.Struct, tag="complete"):
    id: _Id


_decoder = msgspec.json.Decoder(_ConnectionInit | _Ping | _Pong | _Subscribe | _Complete)


class _Closed(Exception):
    """The socket is to be closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:REASON_BYTES].decode(errors="ignore")


class WebSocketEndpoint:
    """Serves `graphql-transport-ws` on one path."""

    def __init__(self, operations: Operations, init_seconds: float = INIT_SECONDS) -> None:
        self._operations = operations
        self._init_seconds = init_seconds
        self._sockets: set[_Socket] = set()

    @property
    def open_sockets(self) -> int:
        """How many clients are connected."""
        return len(self._sockets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept a client and serve it until it leaves."""
        await receive()
        if SUBPROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await send(
                {
                    "type": "websocket.close",
                    "code": SUBPROTOCOL_UNACCEPTABLE,
                    "reason": f"Subprotocol not acceptable: use {SUBPROTOCOL}",
                }
            )
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        socket = _Socket(self._operations, receive, send)
        self._sockets.add(socket)
        try:
            await socket.serve(self._init_seconds)
        finally:
            self._sockets.discard(socket)

    async def close(self) -> None:
        """Tell every client that the service goes away."""
        await asyncio.gather(
            *(socket.go_away() for socket in self._sockets), return_exceptions=True
        )


class _Socket:
    """One client's connection."""

    def __init__(self, operations: Operations, receive: Receive, send: Send) -> None:
        self._operations = operations
        self._receive = receive
        self._send = send
        self._running: dict[str, asyncio.Task[None]] = {}
        self._acknowledged = False

    async def serve(self, init_seconds: float) -> None:
        """Until the client leaves or breaks the protocol; it has so long to initialise."""
        try:
            async with asyncio.timeout(init_seconds) as deadline:
                while (text := await self._next()) is not None:
                    await self._handle(text)
                    if self._acknowledged:
                        deadline.reschedule(None)
        except TimeoutError:
            await self._close(INIT_TIMEOUT, "Connection initialisation timeout")
        except _Closed as closed:
            await self._close(closed.code, closed.reason)
        finally:
            await self._stop_all()

    async def go_away(self) -> None:
        """Close because the service stops; one that does not read is not waited for."""
        async with asyncio.timeout(GO_AWAY_SECONDS):
            await self._close(1001, "Going away")

    async def _next(self) -> bytes | str | None:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            raise _Closed(BAD_REQUEST, "Only text messages are understood")
        return str(text)

    async def _handle(self, text: bytes | str) -> None:
        try:
            message = _decoder.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise _Closed(BAD_REQUEST, f"Invalid message: {error}") from error
        match message:
            case _ConnectionInit():
                if self._acknowledged:
                    raise _Closed(TOO_MANY_INITS, "Too many initialisation requests")
                self._acknowledged = True
                await self._write({"type": "connection_ack"})
            case _Ping():
                await self._write({"type": "pong"})
            case _Subscribe():
                await self._start(message)
            case _Complete():
                task = self._running.pop(message.id, None)
                if task is not None:
                    task.cancel()

    async def _start(self, message: _Subscribe) -> None:
        if not self._acknowledged:
            raise _Closed(UNAUTHORIZED, "Unauthorized: send connection_init first")
        if message.id in self._running:
            raise _Closed(SUBSCRIBER_EXISTS, f"Subscriber for {message.id[:80]} already exists")
        if len(self._running) >= OPERATIONS_PER_SOCKET:
            too_many = GraphQLError(
                f"At most {OPERATIONS_PER_SOCKET} operations at a time on one socket",
                extensions={"code": "RATE_LIMITED"},
            )
            await self._refuse(message.id, [too_many], uuid4().hex)
            return
        task = asyncio.create_task(self._operate(message))
        self._running[message.id] = task
        task.add_done_callback(lambda done: self._ended(message.id, done))

    def _ended(self, id: str, task: asyncio.Task[None]) -> None:
        if self._running.get(id) is task:
            del self._running[id]
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, OSError):  # of which the client left
            logger.opt(exception=error).error("An operation broke")

    async def _operate(self, message: _Subscribe) -> None:
        request_id = uuid4().hex
        payload = message.payload
        request = Request(
            payload.query, payload.operation_name, payload.variables, payload.extensions
        )
        with logger.contextualize(request_id=request_id, operation=payload.operation_name):
            try:
                prepared = self._operations.prepare(request, request_id)
                if prepared.kind is OperationType.SUBSCRIPTION:
                    await self._follow(message.id, prepared)
                else:
                    await self._answer(message.id, prepared)
            except RequestRefused as refused:
                await self._refuse(message.id, refused.errors, request_id)
                return
            except (OSError, Stopping):  # the client left meanwhile, or the service does
                return
            except Exception as error:  # noqa: BLE001 - told to the client, masked, and logged by `errors`
                masked = GraphQLError("Internal error", original_error=error)
                await self._refuse(message.id, [masked], request_id)
                return
            self._running.pop(message.id, None)
            await self._write({"id": message.id, "type": "complete"})

    async def _follow(self, id: str, prepared: Prepared) -> None:
        send = self._send
        head = '{"id":' + orjson.dumps(id).decode() + ',"type":"next","payload":'
        async with aclosing(self._operations.subscribe(prepared)) as events:
            async for payloads in events:
                for payload in payloads:
                    await send(
                        {"type": "websocket.send", "text": f"{head}{payload.decode()}" + "}"}
                    )
                # An idle subscriber must not keep its last events: the generators below hold this list too.
                payloads.clear()
                payload = b""

    async def _answer(self, id: str, prepared: Prepared) -> None:
        with timed(f"WebSocket {prepared.kind.value}"):
            payload = await self._operations.answer(prepared)
        head = b'{"id":' + orjson.dumps(id) + b',"type":"next","payload":'
        await self._send({"type": "websocket.send", "text": (head + payload + b"}").decode()})

    async def _refuse(self, id: str, errors: Any, request_id: str) -> None:
        self._running.pop(id, None)
        formatted = self._operations.errors(errors, request_id=request_id)
        await self._write({"id": id, "type": "error", "payload": formatted})

    async def _write(self, message: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": orjson.dumps(message).decode()})

    async def _close(self, code: int, reason: str) -> None:
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except RuntimeError:
            logger.debug("The socket was closed already")

    async def _stop_all(self) -> None:
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
