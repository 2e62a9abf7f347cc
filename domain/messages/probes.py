"""Trying a connector: what was seen, shown without its secrets."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from domain.connectors import Connector, Secrets, masked
from domain.messages.details import MessageDetail, read_detail
from domain.messages.ticks import MessageType, Side, Tick


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a test of a connector saw, nothing of it stored."""

    ok: bool
    duration_ms: float
    frame: bytes | None = None
    ticks: tuple[Tick, ...] = ()
    error: str | None = None


class Prober(Protocol):
    """Tries a connector for a few seconds without storing anything."""

    async def probe(self, connector: Connector, secrets: Secrets) -> ProbeResult:
        """Fetch once, or listen for up to 10 s for the first message."""


FRAME_SHOWN = 64 * 1024
MESSAGES_SHOWN = 100
ERROR_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class ProbedMessage:
    """A message as it would be stored."""

    exchange: str
    instrument: str
    type: MessageType
    price: Decimal | None
    quantity: Decimal | None
    side: Side | None
    sequence: str | None
    event_time: datetime | None
    data: str
    detail: MessageDetail | None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a test saw: the first frame as text (its first 64 KiB) and up to 100 messages of it."""

    ok: bool
    duration_ms: float
    frame: str | None
    frame_bytes: int | None
    messages: list[ProbedMessage]
    message_count: int
    error: str | None


async def probe(prober: Prober, connector: Connector, secrets: Secrets) -> Probe:
    """Try a connector for up to 10 s; nothing is stored, and no secret is in what comes back."""
    seen = await prober.probe(connector, secrets)
    frame = None if seen.frame is None else seen.frame.decode("utf-8", "replace")
    return Probe(
        ok=seen.ok,
        duration_ms=seen.duration_ms,
        frame=None if frame is None else masked(frame, secrets)[:FRAME_SHOWN],
        frame_bytes=None if seen.frame is None else len(seen.frame),
        messages=[_shown(tick, secrets) for tick in seen.ticks[:MESSAGES_SHOWN]],
        message_count=len(seen.ticks),
        error=None if seen.error is None else masked(seen.error, secrets)[:ERROR_SHOWN],
    )


def _shown(tick: Tick, secrets: Secrets) -> ProbedMessage:
    return ProbedMessage(
        exchange=masked(tick.exchange, secrets),
        instrument=masked(tick.instrument, secrets),
        type=tick.type,
        price=tick.price,
        quantity=tick.quantity,
        side=tick.side,
        sequence=None if tick.sequence is None else masked(tick.sequence, secrets),
        event_time=tick.event_time,
        data=_json(tick.data, secrets),
        detail=read_detail(tick.type, tick.detail),
    )


def _json(text: str, secrets: Secrets) -> str:
    """The JSON text itself, or, where a secret stands in it, the JSON with its texts masked."""
    if masked(text, secrets) == text:
        return text
    return json.dumps(_masked_values(json.loads(text), secrets))


def _masked_values(value: Any, secrets: Secrets) -> Any:
    match value:
        case str():
            return masked(value, secrets)
        case list():
            return [_masked_values(item, secrets) for item in value]
        case dict():
            return {
                masked(name, secrets): _masked_values(item, secrets) for name, item in value.items()
            }
    shown = json.dumps(value)
    return value if masked(shown, secrets) == shown else masked(shown, secrets)
