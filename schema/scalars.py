"""Scalars: exact decimals, UTC times with microseconds, JSON verbatim, positions in the stream."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NewType
from uuid import UUID

import orjson
import strawberry
from graphql import FloatValueNode, GraphQLError, IntValueNode, StringValueNode, ValueNode
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

Cursor = NewType("Cursor", str)
"""Where a reader stands in the message stream (`domain.positions.Position.encode`)."""

Long = NewType("Long", int)
"""A whole number past 32 bits."""

_DECIMAL = re.compile(r"[+-]?(\d{1,200}(\.\d{0,200})?|\.\d{1,200})([eE][+-]?\d{1,2})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DURATION = re.compile(
    r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})(?:\.(\d{1,6}))?S)?)?", re.ASCII
)
_EXACT_FLOAT_DIGITS = 15
_LARGEST_LONG = (1 << 63) - 1
_CURSOR_LIMIT = 12_000
_MICROSECONDS_PER_DAY = 86_400_000_000


def write_decimal(value: Decimal) -> str:
    """Plain digits, never an exponent, every digit as stored."""
    return format(value, "f")


def read_decimal(value: object) -> Decimal:
    """An exact decimal from text or a number; raises GraphQLError for NaN, infinity and inexact floats."""
    if isinstance(value, float) and value == value and abs(value) < 1e15:
        exact = Decimal(repr(value))
        if len(exact.as_tuple().digits) <= _EXACT_FLOAT_DIGITS:
            return exact
        raise GraphQLError("Decimal: a number of so many digits must be sent as a string.")
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise GraphQLError('Decimal: expected a decimal number as a string, such as "0.1".')
    return Decimal(text)


def read_decimal_literal(node: ValueNode, _variables: object = None) -> Decimal:
    """An exact decimal from the digits written in the document."""
    if isinstance(node, (StringValueNode, IntValueNode, FloatValueNode)):
        return read_decimal(node.value)
    raise GraphQLError('Decimal: expected a decimal number as a string, such as "0.1".')


def write_date_time(value: datetime) -> str:
    """RFC 3339 in UTC with exactly six fractional digits; raises ValueError for a naive time."""
    if value.tzinfo is not UTC:
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot leave the service")
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


def read_date_time(value: object) -> datetime:
    """A UTC time from RFC 3339; raises GraphQLError without a zone. Digits past microseconds are cut."""
    match = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise GraphQLError(
            'DateTime: expected RFC 3339 with a time zone, such as "2026-01-31T12:00:00Z".'
        )
    day, time, fraction, zone = match.groups()
    text = f"{day}T{time}{(fraction or '')[:7]}{zone.upper().replace('Z', '+00:00')}"
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise GraphQLError(f"DateTime: {value} is no moment in time.") from error


def read_date(value: object) -> date:
    """A date from `YYYY-MM-DD`; raises GraphQLError."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise GraphQLError('Date: expected a date such as "2026-01-31".')


def write_duration(value: timedelta) -> str:
    """ISO 8601 with days, hours, minutes and seconds, as short as it goes: `PT0.02S`."""
    microseconds = value // timedelta(microseconds=1)
    sign, microseconds = ("-", -microseconds) if microseconds < 0 else ("", microseconds)
    days, rest = divmod(microseconds, _MICROSECONDS_PER_DAY)
    minutes, rest = divmod(rest, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 1_000_000}.{rest % 1_000_000:06d}".rstrip("0").rstrip(".")
    time = "".join(
        f"{number}{unit}"
        for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S"))
        if number not in (0, "0")
    )
    if not days and not time:
        return "PT0S"
    return f"{sign}P{f'{days}D' if days else ''}{f'T{time}' if time else ''}"


def read_duration(value: object) -> timedelta:
    """A length of time from ISO 8601 without years and months; raises GraphQLError."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or value in ("P", "PT") or str(value).endswith("T"):
        raise GraphQLError('Duration: expected ISO 8601, such as "PT1M30S" or "P7D".')
    days, hours, minutes, seconds, fraction = match.groups()
    return timedelta(
        days=int(days or 0),
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "").ljust(6, "0") or 0),
    )


def write_json(value: object) -> object:
    """JSON text (a str) goes out verbatim; anything else is encoded with the response."""
    return orjson.Fragment(value) if isinstance(value, str) else value


def read_cursor(value: object) -> Cursor:
    """A position in the stream as text; whether it is one, the feed decides."""
    if not isinstance(value, str) or not value or len(value) > _CURSOR_LIMIT:
        raise GraphQLError("Cursor: expected a cursor that this service gave.")
    return Cursor(value)


def read_uuid(value: object) -> UUID:
    """A UUID from its usual text; raises GraphQLError."""
    try:
        return UUID(value) if isinstance(value, str) else UUID(int=-1)
    except ValueError as error:
        raise GraphQLError("UUID: expected a UUID.") from error


def read_long(value: object) -> int:
    """A whole number of at most 63 bits; raises GraphQLError."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_LONG:
        return value
    raise GraphQLError("Long: expected a whole number.")


SCALARS: Mapping[object, ScalarDefinition] = {
    Decimal: strawberry.scalar(
        name="Decimal",
        description="An exact decimal number, as a string of plain digits: never rounded, never an exponent. "
        "Input may also be a number of at most 15 digits.",
        serialize=write_decimal,
        parse_value=read_decimal,
        parse_literal=read_decimal_literal,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in UTC as RFC 3339 with microseconds: `2026-01-31T12:00:00.000000Z`. "
        "Input must name its time zone.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=write_date_time,
        parse_value=read_date_time,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A date: `2026-01-31`.",
        serialize=date.isoformat,
        parse_value=read_date,
    ),
    timedelta: strawberry.scalar(
        name="Duration",
        description="A length of time as ISO 8601: `PT0.02S`, `P7D`.",
        serialize=write_duration,
        parse_value=read_duration,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value. What a venue sent comes back as it was sent, digit by digit.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=write_json,
        parse_value=lambda value: value,
    ),
    UUID: strawberry.scalar(
        name="UUID",
        description="A UUID in its usual text form.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc9562",
        serialize=str,
        parse_value=read_uuid,
    ),
    Cursor: strawberry.scalar(
        name="Cursor",
        description="A place in the message stream, opaque. Give it to `subscription messages(after:)` to go on from there.",
        serialize=str,
        parse_value=read_cursor,
    ),
    Long: strawberry.scalar(
        name="Long",
        description="A whole number of up to 63 bits, as a JSON number.",
        serialize=int,
        parse_value=read_long,
    ),
}


def scalar_map() -> dict[object, Any]:
    """For Strawberry's configuration."""
    return dict(SCALARS)
