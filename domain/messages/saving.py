"""Messages that did not come from a running connector: what may be stored."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.errors import InvalidInput
from domain.messages.ticks import MessageType, Side

SAVE_LIMIT = 10_000
NAME_LIMIT = 200
DIGIT_LIMIT = 100
DATA_LIMIT_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that did not come from a running connector; `data` and `detail` are JSON text."""

    instrument: str
    type: MessageType = MessageType.OTHER
    exchange: str | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    side: Side | None = None
    sequence: str | None = None
    event_time: datetime | None = None
    data: str = "null"
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class SavedMessages:
    """What `save` stored; `repeated` when the same key had stored it before."""

    connector_id: UUID
    batch_id: int
    saved_count: int
    repeated: bool
    cursor: str


def check_new_messages(messages: Sequence[NewMessage]) -> None:
    """Raise InvalidInput, naming the field, unless all of `messages` can be stored as they are."""
    if not 0 < len(messages) <= SAVE_LIMIT:
        raise InvalidInput(field="messages", reason=f"must be from 1 to {SAVE_LIMIT}")
    for index, message in enumerate(messages):
        fault = _fault_of(message)
        if fault is not None:
            name, reason = fault
            raise InvalidInput(field=f"messages.{index}.{name}", reason=reason)


def _fault_of(message: NewMessage) -> tuple[str, str] | None:
    if not message.instrument.strip():
        return "instrument", "must not be empty"
    for name in ("instrument", "exchange", "sequence"):
        text = getattr(message, name)
        if text is not None and _size_of(text) > NAME_LIMIT:
            return name, f"must be at most {NAME_LIMIT} bytes of valid Unicode without NUL"
    for name in ("price", "quantity"):
        number = getattr(message, name)
        if number is not None and not _in_range(number):
            return (
                name,
                f"must be finite, with at most {DIGIT_LIMIT} digits on each side of the point",
            )
    if message.event_time is not None and message.event_time.tzinfo is None:
        return "eventTime", "must have a time zone"
    for name in ("data", "detail"):
        text = getattr(message, name)
        if text is not None and not _is_json(text):
            return name, f"must be JSON of at most {DATA_LIMIT_BYTES} bytes"
    return None


def _is_json(text: str) -> bool:
    if _size_of(text) > DATA_LIMIT_BYTES:
        return False
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _size_of(text: str) -> int:
    """Bytes of UTF-8; beyond every limit when the database cannot store the text."""
    try:
        return len(text.encode()) if "\0" not in text else sys.maxsize
    except UnicodeEncodeError:
        return sys.maxsize


def _in_range(number: Decimal) -> bool:
    if not number.is_finite():
        return False
    digits, exponent = number.as_tuple()[1:]
    return -int(exponent) <= DIGIT_LIMIT and len(digits) + int(exponent) <= DIGIT_LIMIT


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
