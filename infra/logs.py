"""Logging: loguru in four formats, secrets masked, the standard library routed in, never blocking the loop.

Bind what a line belongs to with `logger.contextualize(request_id=..., connector_id=..., operation=...)`.
"""

import atexit
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Event, Thread
from time import perf_counter
from typing import Any, Protocol

import loguru
from loguru import logger

from infra.redaction import Secrets, plain, plain_text, redact, redact_fact
from infra.settings import LogFormat, LogLevel

DEPTH = 10_000
TEXT_LIMIT = 16_384
FLUSH_SECONDS = 2.0

# The least severe level of chatty libraries, at INFO and at DEBUG: SQL, request URLs and whole frames are
# for TRACE alone, which shows everything.
_FLOORS = {
    "sqlalchemy": (logging.WARNING, logging.WARNING),
    "httpx": (logging.WARNING, logging.WARNING),
    "httpx2": (logging.WARNING, logging.WARNING),
    "httpcore": (logging.WARNING, logging.WARNING),
    "httpcore2": (logging.WARNING, logging.WARNING),
    "authlib": (logging.WARNING, logging.WARNING),
    "hpack": (logging.WARNING, logging.WARNING),
    "websockets": (logging.WARNING, logging.INFO),
    "uvicorn": (logging.WARNING, logging.INFO),
    "alembic": (logging.WARNING, logging.INFO),
    "asyncio": (logging.WARNING, logging.INFO),
    "stamina": (logging.ERROR, logging.WARNING),  # whoever retries says why himself
}

_BARE = re.compile(r"[^\s\"'=\x00-\x1f\x7f-\x9f]+")
_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
# Characters that JSON lets stand but that end a line for some readers, or command a terminal.
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
_OWN_FIELDS = ("time", "level", "logger", "message", "exception")

_secrets = Secrets()
_slow_ms = 500.0
_writer: "Writer | None" = None


class Stream(Protocol):
    """Where finished lines go."""

    def write(self, text: str, /) -> object:
        """Take a line; may block: only the writer's thread waits."""


@dataclass(slots=True)
class Line:
    """What is kept of a log call until it is written: nothing that can still change."""

    time: datetime
    level: str
    place: str
    message: str
    facts: dict[str, Any]
    exception: str


def mask(*values: str) -> None:
    """Never show these values in any log line from now on; those under 6 characters cannot be masked."""
    _secrets.add(*values)


def redacted(text: str) -> str:
    """`text` as a log line would show it; for what is printed without being logged."""
    return redact(text, _secrets)


def configure(
    level: LogLevel = "INFO",
    format: LogFormat = "simple",
    slow_ms: float = 500.0,
    stream: Stream | None = None,
) -> "Writer":
    """Send every log line of the process, the standard library's too, to `stream` (standard error)."""
    global _writer, _slow_ms
    close()
    _slow_ms = slow_ms
    _writer = Writer(stream or StandardError(), format)
    # catch=False: loguru would print the record it failed on, unmasked
    logger.configure(
        handlers=[
            {
                "sink": _writer.write,
                "level": level,
                "format": _exception_only,
                "backtrace": False,
                "diagnose": False,
                "catch": False,
            }
        ]
    )
    number = logger.level(level).no
    logging.basicConfig(handlers=[_Routed()], level=number, force=True)
    logging.captureWarnings(capture=True)
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name, (at_info, at_debug) in _FLOORS.items():
        floor = number if level == "TRACE" else at_debug if level == "DEBUG" else at_info
        logging.getLogger(name).setLevel(max(number, floor))
    return _writer


def close() -> None:
    """Write what waits, for 2 s at most; lines logged afterwards are dropped."""
    global _writer
    if _writer is not None:
        _writer.close()
        logger.remove()
        _writer = None


def flush(timeout: float = FLUSH_SECONDS) -> bool:
    """Wait until everything logged so far is written; False when `timeout` seconds were too short."""
    return _writer is None or _writer.flush(timeout)


def dropped_lines() -> int:
    """How many lines were dropped because they came faster than they could be written."""
    return 0 if _writer is None else _writer.dropped


@contextmanager
def timed(name: str, threshold_ms: float | None = None, **facts: Any) -> Iterator[None]:
    """Warn when the block takes `threshold_ms` (default: the slow_operation_ms setting) or longer."""
    started = perf_counter()
    try:
        yield
    finally:
        elapsed = (perf_counter() - started) * 1000
        limit = _slow_ms if threshold_ms is None else threshold_ms
        if elapsed >= limit:
            logger.opt(depth=2).bind(**facts, duration_ms=round(elapsed, 1)).warning(
                "slow: {} took {:.0f} ms, {:.0f} are expected at most", name, elapsed, limit
            )


@dataclass(slots=True, eq=False)
class Writer:
    """Writes lines from a thread; past `depth` waiting lines it drops, counts and later says so."""

    stream: Stream
    format: LogFormat
    depth: int = DEPTH
    dropped: int = 0
    _lines: SimpleQueue[Line | Event] = field(default_factory=SimpleQueue)
    _told: int = 0
    _closed: bool = False
    _thread: Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, message: "loguru.Message") -> None:
        """Take a log call; returns at once, whatever the stream does."""
        if self._closed or self._lines.qsize() >= self.depth:
            self.dropped += 1
            return
        record = message.record
        self._lines.put(
            Line(
                time=record["time"].astimezone(UTC),
                level=record["level"].name,
                place=f"{record['name']}:{record['function']}:{record['line']}",
                message=_bounded(record["message"]),
                facts={name: plain(value) for name, value in record["extra"].items()},
                exception=_bounded(str(message)),
            )
        )

    def flush(self, timeout: float = FLUSH_SECONDS) -> bool:
        """Wait until what was taken so far is written; False when `timeout` seconds were too short."""
        done = Event()
        self._lines.put(done)
        return done.wait(timeout)

    def close(self, timeout: float = FLUSH_SECONDS) -> None:
        """Write what waits, for `timeout` seconds at most, and end the thread."""
        self._closed = True
        self._lines.put(Event())
        self._thread.join(timeout)

    def _run(self) -> None:
        while not (self._closed and self._lines.empty()):
            item = self._lines.get()
            if isinstance(item, Event):
                item.set()
                continue
            try:
                self.stream.write(render(item, self.format))
                if self.dropped > self._told:
                    self._tell()
            except Exception:  # noqa: BLE001 - a closed pipe, a full disk: the writer outlives any line
                self.dropped += 1

    def _tell(self) -> None:
        missing, self._told = self.dropped - self._told, self.dropped
        text = f"{missing} log lines dropped: logged faster than they can be written"
        line = Line(datetime.now(UTC), "WARNING", __name__, text, {"dropped": missing}, "")
        self.stream.write(render(line, self.format))


class StandardError:
    """Standard error without Python's buffer, whose lock a blocked thread would hold past the exit."""

    def write(self, text: str, /) -> None:
        """Write all of `text`; waits while the reader of a pipe is slow."""
        rest = text.encode("utf-8", "backslashreplace")
        while rest:
            rest = rest[os.write(2, rest) :]


def render(line: Line, format: LogFormat) -> str:
    """A finished line (or several, with a traceback) without secrets, ending in a line feed."""
    message = redact(line.message, _secrets).rstrip("\r\n")
    exception = redact(line.exception, _secrets).strip("\n")
    facts = {
        redact(name, _secrets): redact_fact(name, value, _secrets)
        for name, value in line.facts.items()
    }
    match format:
        case "json":
            return _json(_fields(line, message, facts, exception)) + "\n"
        case "structured":
            fields = _fields(line, message, facts, exception)
            return " ".join(f"{name}={_word(value)}" for name, value in fields.items()) + "\n"
        case "detailed":
            time, shown = _timestamp(line.time), facts
            place = f" {redact(line.place, _secrets)}"
        case "simple":
            time, place = line.time.astimezone().strftime("%H:%M:%S"), ""
            shown = {name: value for name, value in facts.items() if name != "request_id"}
    tail = "".join(f" {name}={_word(value)}" for name, value in shown.items())
    trace = f"\n    {_printable(exception)}" if exception else ""
    return f"{time} {line.level:<7}{place} {_printable(message)}{tail}{trace}\n"


def _fields(line: Line, message: str, facts: dict[str, Any], exception: str) -> dict[str, Any]:
    own = {
        "time": _timestamp(line.time),
        "level": line.level.lower(),
        "logger": redact(line.place, _secrets),
        "message": message,
    }
    if exception:
        own["exception"] = exception
    return own | {f"{name}_" if name in _OWN_FIELDS else name: facts[name] for name in facts}


def _timestamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else _json(value)
    return text if _BARE.fullmatch(text) else _json(text)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)


def _printable(text: str) -> str:
    """Lines after the first indented, so that no message can pass for another; no terminal commands."""
    lines = _BREAK.sub("\n    ", text)
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", lines)


def _bounded(text: str) -> str:
    if len(text) <= TEXT_LIMIT:
        return text
    # The cut could leave a secret's beginning, which no longer looks like one: take that much more off.
    spare = _secrets.longest
    kept = _secrets.hide(text[: TEXT_LIMIT + spare])
    return f"{kept[: min(TEXT_LIMIT, len(kept) - spare)]}... ({len(text)} characters)"


def _exception_only(record: "loguru.Record") -> str:
    return "{exception}"


class _Routed(logging.Handler):
    """Passes the standard library's records to loguru with their level, logger and place."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = plain_text(record.msg)

        def place(found: "loguru.Record") -> None:
            found["name"] = record.name
            found["function"] = record.funcName
            found["line"] = record.lineno

        logger.patch(place).opt(exception=record.exc_info).log(level, message)


atexit.register(close)
