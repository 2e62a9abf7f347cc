"""Around every HTTP request: its id, what is logged of it, and the headers that keep browsers safe."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final
from uuid import uuid4

from loguru import logger
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.web.metrics import Metrics

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,63}")
QUIET_PATHS: Final = ("/healthz", "/readyz", "/metrics", "/static/")
SECURITY_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (
        b"permissions-policy",
        b"accelerometer=(), camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
)
HTTPS_ALONE: Final = (b"strict-transport-security", b"max-age=31536000")
_KEY: Final = "penstock.note"


@dataclass(slots=True)
class Note:
    """What is known of a request; the endpoint adds what it finds out, and headers that any answer to it has."""

    request_id: str
    operation: str | None = None
    kind: str | None = None
    outcome: str | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def carry(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Have the answer carry these, in place of any carried before by the same name."""
        new = list(headers)
        names = {name for name, _ in new}
        self.headers = [one for one in self.headers if one[0] not in names] + new


def note_of(scope: Scope) -> Note:
    """The note of a request, begun here when nothing around it did."""
    note = scope.get(_KEY)
    if not isinstance(note, Note):
        note = scope[_KEY] = Note(uuid4().hex)
    return note


class Requests:
    """Gives requests their id (the client's own if it is sane), adds headers, logs how each went."""

    def __init__(
        self,
        app: ASGIApp,
        slow_ms: float = 500,
        https_alone: bool = False,
        metrics: Metrics | None = None,
    ) -> None:
        self._app = app
        self._slow_ms = slow_ms
        self._metrics = metrics
        self._headers = (*SECURITY_HEADERS, HTTPS_ALONE) if https_alone else SECURITY_HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        note = Note(given if REQUEST_ID.fullmatch(given) else uuid4().hex)
        scope[_KEY] = note
        start = perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._with_headers(message.get("headers", ()), note)
            await send(message)

        with logger.contextualize(request_id=note.request_id):
            try:
                await self._app(scope, receive, answer)
            finally:
                self._log(scope, note, status, (perf_counter() - start) * 1000)
                if self._metrics is not None:
                    self._metrics.request(scope["path"], status)

    def _log(self, scope: Scope, note: Note, status: int, milliseconds: float) -> None:
        path: str = scope["path"]
        slow = milliseconds >= self._slow_ms and note.kind in {"query", "mutation"}
        level = "DEBUG" if path.startswith(QUIET_PATHS) else "INFO"
        facts = {"operation": note.operation} if note.operation else {}
        logger.bind(**facts, status=status, duration_ms=round(milliseconds, 1)).log(
            "WARNING" if slow else level,
            "{}{} {} {} {} in {:.1f} ms",
            "Slow: " if slow else "",
            scope["method"],
            path,
            " ".join(filter(None, (note.kind, note.operation))) or "-",
            note.outcome or status or "abandoned",
            milliseconds,
        )

    def _with_headers(
        self, headers: Iterable[tuple[bytes, bytes]], note: Note
    ) -> list[tuple[bytes, bytes]]:
        present = [*headers, *note.headers]
        names = {name for name, _ in present}
        present += [(name, value) for name, value in self._headers if name not in names]
        present.append((b"x-request-id", note.request_id.encode()))
        return present
