"""One client's WebSocket: its credential, its operations, and what it is sent.

Each subscription writes straight from its outbox to the socket: an event's bytes are made once for all
subscribers, and only the frame around them is this client's own.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import orjson
from graphql import GraphQLError, OperationType
from loguru import logger
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from domain.identity import Forbidden, Unauthenticated
from infra.logs import timed
from infra.realtime.sharing import Stopping
from infra.web.admission import (
    ANONYMOUS,
    STRANGERS_BYTES,
    Admission,
    Offer,
    bearer,
    offer_in,
    offer_in_payload,
)
from infra.web.crowd import Pace, Place, TooMany
from infra.web.entrance import Entrance
from infra.web.limits import identity
from infra.web.operations import Operations, Prepared, Request, RequestRefused
from infra.web.protocol import (
    BAD_REQUEST,
    FORBIDDEN,
    INIT_TIMEOUT,
    SUBSCRIBER_EXISTS,
    TOO_LARGE,
    TOO_MANY_INITS,
    TOO_MANY_MESSAGES,
    TOO_MANY_SOCKETS,
    TRY_AGAIN_LATER,
    UNAUTHORIZED,
    Closed,
    Complete,
    ConnectionInit,
    Ping,
    Subscribe,
    decoder,
)
from schema.scalars import write_date_time

OPERATIONS_PER_SOCKET = 200
MESSAGES_PER_MINUTE = 6_000
STOP_SECONDS = 5.0
GO_AWAY_SECONDS = 1.0
EXPIRED = "Token expired"


@dataclass(frozen=True, slots=True)
class Way:
    """How a client came, and how it is spoken to."""

    scope: Scope
    receive: Receive
    send: Send
    token_parameter: bool
    place: Place
    operations: int = OPERATIONS_PER_SOCKET
    messages: int = MESSAGES_PER_MINUTE

    @property
    def address(self) -> str | None:
        """Where the client is."""
        client = self.scope.get("client")
        return client[0] if client else None

    def offer(self) -> Offer:
        """What came with the handshake; raises Unauthenticated."""
        offer = offer_in(Headers(scope=self.scope))
        if offer.token is None and self.token_parameter:
            given = QueryParams(self.scope["query_string"]).get("token")
            return Offer(given or None, offer.workspace)
        return offer


class Connection:
    """One client's connection; a `Guest` of the entrance."""

    def __init__(self, operations: Operations, entrance: Entrance, way: Way) -> None:
        self._operations = operations
        self._entrance = entrance
        self._way = way
        self._send = way.send
        self._pace = Pace(way.messages)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._following: dict[str, Prepared] = {}
        self._withdrawn: dict[str, Sequence[GraphQLError]] = {}
        self._acknowledged = False
        self._asked = Offer()
        self._deadline: asyncio.Timeout | None = None
        self._over: Closed | None = None
        self.admission = ANONYMOUS

    async def serve(self, init_seconds: float) -> None:
        """Until the client leaves, breaks the protocol or may not stay; it has so long to initialise."""
        try:
            async with asyncio.timeout(init_seconds) as self._deadline:
                while (text := await self._next()) is not None:
                    await self._handle(text)
        except TimeoutError:
            await self._show_the_door()
        except Closed as closed:
            await self._close(closed.code, closed.reason)
        finally:
            await self._stop_all()

    async def go_away(self) -> None:
        """Close because the service stops; one that does not read is not waited for."""
        async with asyncio.timeout(GO_AWAY_SECONDS):
            await self._close(1001, "Going away")

    def show_out(self, reason: str) -> None:
        """Close: nothing is allowed any more."""
        self._over = Closed(FORBIDDEN, reason)
        self._until(0)

    async def readmit(self, admission: Admission) -> None:
        """Go on with these rights; operations that they no longer allow end."""
        before, self.admission = self.admission, admission
        self._until(self._seconds_left())
        if before.viewer is None or before.viewer == admission.viewer:
            return
        for id, prepared in list(self._following.items()):
            try:
                caller = self.admission.caller(self._way.scope, prepared.request_id)
                await self._operations.again(prepared, caller)
            except RequestRefused as refused:
                task = self._running.get(id)
                if task is not None and self._following.get(id) is prepared:
                    self._withdrawn[id] = refused.errors
                    task.cancel()  # it tells the client itself, who may be slow to read

    async def _show_the_door(self) -> None:
        """The time is up: for the initialisation, for the credential, or because somebody took it back."""
        for task in self._running.values():
            task.cancel()
        if self._over is None:
            self._over = (
                Closed(FORBIDDEN, EXPIRED)
                if self._acknowledged
                else Closed(INIT_TIMEOUT, "Connection initialisation timeout")
            )
        with suppress(TimeoutError):  # one that does not read
            async with asyncio.timeout(GO_AWAY_SECONDS):
                await self._close(self._over.code, self._over.reason)

    def _until(self, seconds: float | None) -> None:
        """Serve so much longer; None: without an end."""
        if self._over is not None:
            seconds = 0
        if self._deadline is not None:
            now = asyncio.get_running_loop().time()
            with suppress(RuntimeError):  # it is over already
                self._deadline.reschedule(None if seconds is None else now + seconds)

    def _seconds_left(self) -> float | None:
        ends = self.admission.expires_at
        return None if ends is None else (ends - datetime.now(UTC)).total_seconds()

    async def _next(self) -> bytes | str | None:
        message = await self._way.receive()
        if message["type"] == "websocket.disconnect":
            return None
        if self._pace.too_fast():
            raise Closed(TOO_MANY_MESSAGES, f"More than {self._way.messages} messages in a minute")
        text = message.get("text")
        if text is None:
            raise Closed(BAD_REQUEST, "Only text messages are understood")
        if self.admission.viewer is None and len(text) > STRANGERS_BYTES:
            raise Closed(TOO_LARGE, f"More than {STRANGERS_BYTES} characters without a credential")
        return str(text)

    async def _handle(self, text: bytes | str) -> None:
        try:
            message = decoder.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Closed(BAD_REQUEST, f"Invalid message: {error}") from error
        match message:
            case ConnectionInit():
                if self._acknowledged:
                    raise Closed(TOO_MANY_INITS, "Too many initialisation requests")
                await self._initialise(message.payload)
            case Ping():
                await self._pong(message.payload)
            case Subscribe():
                await self._start(message)
            case Complete():
                task = self._running.pop(message.id, None)
                if task is not None:
                    task.cancel()

    async def _initialise(self, payload: dict[str, Any] | None) -> None:
        try:
            self._asked = offer_in_payload(payload, self._way.offer())
            self.admission = await self._admit(self._asked)
        except (Unauthenticated, Forbidden) as refused:
            raise Closed(FORBIDDEN, f"Forbidden: {_reason(refused)}") from refused
        try:
            self._way.place.belongs_to(identity(self.admission.caller(self._way.scope, "")))
        except TooMany as full:
            raise Closed(TOO_MANY_SOCKETS, str(full)) from full
        self._acknowledged = True
        self._until(self._seconds_left())
        await self._write({"type": "connection_ack", **_told(self.admission)})

    async def _pong(self, payload: dict[str, Any] | None) -> None:
        """Answer; a credential in the payload, of the same user or key, takes the place of the one before."""
        if not self._acknowledged or not payload or "authorization" not in payload:
            await self._write({"type": "pong"})
            return
        try:
            offer = Offer(bearer(payload["authorization"]), self._asked.workspace)
            admission = await self._admit(offer)
        except (Unauthenticated, Forbidden) as refused:
            await self._write({"type": "pong", "payload": {"error": _reason(refused)}})
            return
        if not self.admission.same_owner(admission):
            problem = "not of the user or key that opened this socket"
            await self._write({"type": "pong", "payload": {"error": problem}})
            return
        await self.readmit(admission)
        await self._write({"type": "pong", **_told(admission)})

    async def _admit(self, offer: Offer) -> Admission:
        try:
            if not self._entrance.knows(offer):
                self._operations.check_credentials(self._way.address)
            return await self._entrance.admit(offer)
        except RequestRefused as too_many:
            raise Closed(TRY_AGAIN_LATER, str(too_many)) from too_many
        except (Unauthenticated, Forbidden):
            await self._count_refusal()
            raise
        except Exception as error:
            logger.opt(exception=error).error("A credential could not be checked")
            raise Closed(TRY_AGAIN_LATER, "Try again later") from error

    async def _count_refusal(self) -> None:
        try:
            await self._operations.refused_credential(self._way.address)
        except RequestRefused as too_many:
            raise Closed(TRY_AGAIN_LATER, str(too_many)) from too_many

    async def _start(self, message: Subscribe) -> None:
        if not self._acknowledged:
            raise Closed(UNAUTHORIZED, "Unauthorized: send connection_init first")
        if message.id in self._running:
            raise Closed(SUBSCRIBER_EXISTS, f"Subscriber for {message.id[:80]} already exists")
        if len(self._running) >= self._way.operations:
            too_many = GraphQLError(
                f"At most {self._way.operations} operations at a time on one socket",
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

    async def _operate(self, message: Subscribe) -> None:
        request_id = uuid4().hex
        payload = message.payload
        request = Request(
            payload.query,
            payload.operation_name,
            payload.variables,
            payload.extensions,
            payload.document_id,
        )
        with logger.contextualize(request_id=request_id, operation=payload.operation_name):
            try:
                caller = self.admission.caller(self._way.scope, request_id)
                prepared = self._operations.prepare(request, caller)
                if prepared.kind is OperationType.SUBSCRIPTION:
                    await self._follow(message.id, prepared)
                else:
                    await self._operations.admit(prepared)
                    await self._answer(message.id, prepared)
            except RequestRefused as refused:
                await self._refuse(message.id, refused.errors, request_id)
                return
            except asyncio.CancelledError:
                errors = self._withdrawn.pop(message.id, None)
                if errors is None:
                    raise
                await self._refuse(message.id, errors, request_id)
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
        self._following[id] = prepared  # before anything is waited for: rights may change meanwhile
        try:
            await self._operations.admit(prepared)
            async with aclosing(self._operations.subscribe(prepared)) as events:
                await self._pass_on(id, events)
        finally:
            if self._following.get(id) is prepared:
                del self._following[id]

    async def _pass_on(self, id: str, events: AsyncIterator[list[bytes]]) -> None:
        send = self._send
        head = '{"id":' + orjson.dumps(id).decode() + ',"type":"next","payload":'
        async for payloads in events:
            for payload in payloads:
                await send({"type": "websocket.send", "text": f"{head}{payload.decode()}" + "}"})
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


def _told(admission: Admission) -> dict[str, Any]:
    """What a client is told of its credential; nothing when it showed none."""
    if admission.viewer is None:
        return {}
    ends = admission.expires_at
    return {"payload": {"expiresAt": None if ends is None else write_date_time(ends)}}


def _reason(refused: Unauthenticated | Forbidden) -> str:
    return refused.reason if isinstance(refused, Unauthenticated) else f"{refused.needed} is needed"
