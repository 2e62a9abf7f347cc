"""REST answers: rows of recorded answers brought up to now, conditional requests, and faults."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.replay.faults import Fault, FaultKind, Transport, corrupted
from infra.replay.session import compact, logged
from infra.replay.spans import Path, parse
from infra.replay.stage import Stage
from infra.replay.tape import EPOCH_NS
from infra.replay.templates import SECOND, Draft, Template, compile_all
from infra.replay.wire import EXTENSION

ROWS_LIMIT = 1000
BODY_LIMIT_BYTES = 1024 * 1024

_FAULTS = frozenset(FaultKind) - {FaultKind.DUPLICATE, FaultKind.REORDER}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a venue answers; `modified_ns` is when the data last changed (None: not cacheable)."""

    body: bytes
    status: int = 200
    modified_ns: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Series:
    """Recorded rows of one kind, repeated for ever, one every `spacing_ns`; candles lie on their own grid."""

    def __init__(self, drafts: Sequence[Draft], spacing_ns: int, candles: bool = False) -> None:
        self._rows: list[Template] = compile_all(drafts)
        self._spacing = spacing_ns
        self._candles = candles

    def latest(self, now_ns: int, count: int = 1) -> list[bytes]:
        """The newest rows, newest first."""
        newest = self.newest(now_ns)
        offset = now_ns if self._candles else newest * self._spacing + EPOCH_NS
        rows = []
        for back in range(min(count, ROWS_LIMIT, max(1, newest))):
            turn, index = divmod(newest - back, len(self._rows))
            rows.append(self._rows[index].render(turn, offset - back * self._spacing))
        return rows

    def newest(self, now_ns: int) -> int:
        """The number of the newest row."""
        return max(0, now_ns - EPOCH_NS) // self._spacing

    def changed_ns(self, now_ns: int) -> int:
        """When the newest row came."""
        return self.newest(now_ns) * self._spacing + EPOCH_NS


def elements(text: bytes, path: Path = ()) -> list[bytes]:
    """The texts of a JSON list's elements, as they stand; the list is the one at `path`."""
    _, spans = parse(text)
    return [
        text[span.start : span.end]
        for span in spans
        if len(span.path) == len(path) + 1 and span.path[:-1] == path and not span.scalar
    ]


def joined(rows: Sequence[bytes]) -> bytes:
    """Rows as a JSON list."""
    return b"[" + b",".join(rows) + b"]"


class BadLimit(ValueError):
    """A limit is no positive whole number."""


def limit_of(query: Mapping[str, str], default: int, most: int, name: str = "limit") -> int:
    """The number of rows asked for, cut to the most a venue gives; raises BadLimit."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise BadLimit(name)
    return min(int(text), most)


class Desk(Protocol):
    """A venue's REST endpoints."""

    venue: str

    def answer(self, path: str, query: dict[str, str], now_ns: int) -> Answer:
        """The venue's answer, errors included, to a GET of its own path."""


@dataclass(frozen=True, slots=True)
class RestApp:
    """An ASGI application: a desk behind a request log, faults and conditional requests."""

    stage: Stage
    desk: Desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, if the faults let it."""
        request = Request(scope, receive)
        body = await _body(request)
        entry = logged(self.desk.venue, scope, body)
        self.stage.requests.append(entry)
        answer = self._answer(request)
        damage: Fault | None = None
        for id, fault, dice in self.stage.faults.strike(self.desk.venue, Transport.REST, _FAULTS):
            match fault.kind:
                case FaultKind.STATUS:
                    answer = refusal(fault)
                case FaultKind.SLOW:
                    await asyncio.sleep(fault.seconds or 0)
                case FaultKind.CORRUPT:
                    damaged, binary = corrupted(answer.body, fault, dice)
                    headers = {"content-type": "application/octet-stream"} if binary else {}
                    answer = Answer(damaged, answer.status, headers=headers)
                case FaultKind.SILENCE:
                    await self._silence(id, fault, request)
                case FaultKind.ABORT | FaultKind.DISCONNECT:
                    damage = fault
        if damage is not None:
            entry.status = 0
            await _break_off(answer, damage, scope, send)
            return
        response = _conditional(request, answer)
        entry.status = response.status_code
        await response(scope, receive, send)

    def _answer(self, request: Request) -> Answer:
        if request.method not in ("GET", "HEAD"):
            return Answer(b'{"msg":"Method Not Allowed"}', 405, headers={"allow": "GET, HEAD"})
        path = request.scope["path"][len(request.scope.get("root_path", "")) :]
        return self.desk.answer(path, dict(request.query_params), self.stage.clock())

    async def _silence(self, id: int, fault: Fault, request: Request) -> None:
        """Wait as long as the fault says, or until it is removed or the client gives up."""
        until = None if fault.seconds is None else self.stage.clock() + int(fault.seconds * SECOND)
        while self.stage.faults.holds(id) and (until is None or self.stage.clock() < until):
            if await request.is_disconnected():
                return
            await asyncio.sleep(0.02)


def refusal(fault: Fault) -> Answer:
    """An error answer, as a gateway in front of the venue gives it."""
    headers = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
    message = "Too many requests." if fault.status == 429 else "Unavailable."
    return Answer(compact({"code": fault.status, "msg": message}), fault.status, headers=headers)


async def _body(request: Request) -> bytes:
    """The request's body, as much of it as a log needs."""
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk[: BODY_LIMIT_BYTES - len(kept)]
    return bytes(kept)


def _conditional(request: Request, answer: Answer) -> Response:
    """The response: 304 when the client has this already."""
    headers = {"content-type": "application/json;charset=UTF-8", **answer.headers}
    if answer.status == 200 and answer.modified_ns is not None:
        tag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
        modified = answer.modified_ns // SECOND
        headers |= {"etag": tag, "last-modified": formatdate(modified, usegmt=True)}
        if _has(request, tag, modified):
            return Response(status_code=304, headers=headers)
    return Response(answer.body, answer.status, headers)


def _has(request: Request, tag: str, modified: int) -> bool:
    tags = request.headers.get("if-none-match")
    if tags is not None:
        known = [name.strip().removeprefix("W/") for name in tags.split(",")]
        return tag in known or "*" in known
    try:
        since = parsedate_to_datetime(request.headers["if-modified-since"])
    except (KeyError, ValueError):
        return False
    return modified <= since.timestamp()


async def _break_off(answer: Answer, fault: Fault, scope: Scope, send: Send) -> None:
    """Reset the connection, after half an answer for DISCONNECT."""
    if fault.kind is FaultKind.DISCONNECT:
        length = str(len(answer.body)).encode()
        start: dict[str, Any] = {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(b"content-type", b"application/json"), (b"content-length", length)],
        }
        await send(start)
        half = answer.body[: len(answer.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await asyncio.sleep(0.01)
    scope["extensions"][EXTENSION].abort()
