"""What all venues share: strict decoding, refusals, exact decimals and exact times."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import orjson

from domain.messages import CannotNormalise, QuarantineReason

Number = Any  # JSON text or a bare number: an int, or a float's own digits as text (see `decoder`)

Decode = Callable[[bytes | msgspec.Raw], Any]

DIGITS_LIMIT = 30
NAME_LIMIT = 100
SHOWN = 60
EXPLAINED = 300
NESTING_SAFE = 900

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = 978_307_200  # 2001-01-01 and 2100-01-01, seconds: no unit's range meets another's
LATEST = 4_102_444_800

_ZERO = Decimal(0)
_WIDE = Context(prec=4 * DIGITS_LIMIT)
_plain = re.compile(r"\d{1,30}(?:\.\d{1,30})?", re.ASCII).fullmatch
_number = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII).fullmatch
_label = re.compile(r"[\w.+:-]{1,40}", re.ASCII).fullmatch


class Wire(msgspec.Struct, gc=False):
    """A venue's object; unknown fields are allowed, for venues add them without notice."""


Id = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


def decoder(kind: Any) -> Decode:
    """A strict JSON decoder that keeps a float in a field of any type as its own digits."""
    return msgspec.json.Decoder(kind, float_hook=str).decode


_shape = decoder(dict[str, msgspec.Raw] | list[msgspec.Raw])
_anything = decoder(Any)


def malformed(explanation: str) -> CannotNormalise:
    """The refusal of what is no JSON."""
    return _refused(QuarantineReason.MALFORMED, explanation)


def unexpected(explanation: str) -> CannotNormalise:
    """The refusal of JSON of an unknown shape."""
    return _refused(QuarantineReason.UNEXPECTED, explanation)


def invalid(field: str, value: object, why: str) -> CannotNormalise:
    """The refusal of a value, naming its field."""
    return _refused(QuarantineReason.INVALID_VALUE, f"{field}: {shown(value)} {why}")


def _refused(reason: QuarantineReason, explanation: str) -> CannotNormalise:
    if not explanation.isprintable():  # a venue's own words may hold anything
        explanation = "".join(c if c.isprintable() else "?" for c in explanation[:EXPLAINED])
    return CannotNormalise(reason, explanation[:EXPLAINED])


def shown(value: object) -> str:
    """A value for an explanation: short, on one line."""
    if isinstance(value, int) and value.bit_length() > 4 * SHOWN:
        return "a very long number"
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def text_of(frame: bytes | msgspec.Raw) -> str:
    """The JSON text of a frame or element; MALFORMED when it is not UTF-8."""
    try:
        return bytes(frame).decode()
    except UnicodeDecodeError as error:
        raise malformed(f"not UTF-8: {error.reason} at byte {error.start}") from None


def shape(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw] | list[msgspec.Raw]:
    """An object's fields or an array's elements, each as its exact text."""
    try:
        return _shape(raw)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise unexpected(f"neither object nor array: {error}") from None
    except msgspec.DecodeError as error:
        raise malformed(str(error)) from None


def decoded(decode: Decode, raw: bytes | msgspec.Raw, what: str) -> Any:
    """Decode an object that is known to be JSON; UNEXPECTED when its shape is not the venue's."""
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            raise _refused(QuarantineReason.INVALID_VALUE, f"{what}: {error}") from None
        raise unexpected(f"{what}: {error}") from None


def anything(raw: bytes | msgspec.Raw) -> Any:
    """Any JSON as Python objects, floats as their own digits; for explanations."""
    try:
        return _anything(raw)
    except msgspec.ValidationError:
        return "an unreadable value"


def nests_too_deeply(frame: bytes) -> bool:
    """Whether JSON nests beyond what every reader of the stored text can be trusted to follow."""
    if len(frame) < NESTING_SAFE or frame.count(b"[") + frame.count(b"{") < NESTING_SAFE:
        return False
    try:
        orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        return "depth limit" in str(error)
    return False


def number(value: Number, field: str) -> Decimal:
    """An exact decimal, not negative; INVALID_VALUE otherwise."""
    try:
        if _plain(value):
            return Decimal(value)
    except TypeError:  # a bare integer, or no number at all
        pass
    exact = signed(value, field)
    if exact < _ZERO:
        raise invalid(field, value, "is negative")
    return exact


def digits(value: Number, field: str) -> str:
    """The plain digits of an exact decimal, not negative, as the venue wrote them."""
    try:
        if _plain(value):
            return value  # type: ignore[no-any-return]
    except TypeError:
        pass
    return format(number(value, field), "f")


def digits_or_none(value: Number, field: str) -> str | None:
    """`digits`, None where the venue has no value: absent, null or empty."""
    return None if value is None or value == "" else digits(value, field)


def number_or_none(value: Number, field: str) -> Decimal | None:
    """`number`, None where the venue has no value: absent, null or empty."""
    return None if value is None or value == "" else number(value, field)


def signed(value: Number, field: str) -> Decimal:
    """An exact decimal of either sign with at most 30 digits on either side of the point."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise invalid(field, value, "is not a number")
    if isinstance(value, int) and value.bit_length() > 4 * DIGITS_LIMIT:
        raise invalid(field, value, "is absurdly large")
    text = str(value)
    if not is_number(text):
        raise invalid(field, value, "is not a decimal number")
    exact = Decimal(text)
    exponent = exact.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > DIGITS_LIMIT:
        raise invalid(field, value, f"has more than {DIGITS_LIMIT} fractional digits")
    if exact.adjusted() >= DIGITS_LIMIT:
        raise invalid(field, value, f"has more than {DIGITS_LIMIT} integer digits")
    if exact.is_zero():
        exact = exact.copy_abs()
    return Decimal(format(exact, "f")) if exponent > 0 else exact


def milliseconds(value: int, field: str) -> datetime:
    """The UTC time of Unix milliseconds (or of microseconds, which Binance sends on request)."""
    if EARLIEST * 1000 <= value < LATEST * 1000:
        return EPOCH + timedelta(0, 0, value * 1000)
    if EARLIEST * 1_000_000 <= value < LATEST * 1_000_000:
        return EPOCH + timedelta(0, 0, value)
    raise invalid(field, value, "is not a time from 2001 to 2099 in milliseconds")


def milliseconds_text(value: str | int, field: str) -> datetime:
    """The UTC time of Unix milliseconds in JSON text or bare."""
    if isinstance(value, str):
        if not (value.isdecimal() and len(value) < 20):
            raise invalid(field, value, "is not a time in milliseconds")
        value = int(value)
    return milliseconds(value, field)


def seconds(value: str | int, field: str) -> datetime:
    """The UTC time of whole Unix seconds in JSON text or bare."""
    if isinstance(value, str):
        if not (value.isdecimal() and len(value) < 20):
            raise invalid(field, value, "is not a time in seconds")
        value = int(value)
    if not EARLIEST <= value < LATEST:
        raise invalid(field, value, "is not a time from 2001 to 2099 in seconds")
    return EPOCH + timedelta(0, value)


def iso(value: str, field: str, *, naive_is_utc: bool = False) -> datetime:
    """The UTC time of ISO 8601 text with its offset; digits past the microsecond are cut, never rounded."""
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            if not naive_is_utc:
                raise invalid(field, value, "has no offset from UTC")
            time = time.replace(tzinfo=UTC)
        elif time.tzinfo is not UTC:
            time = time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(field, value, "is not an ISO 8601 time") from None
    if not 2001 <= time.year < 2100:
        raise invalid(field, value, "is not a time from 2001 to 2099")
    return time


def epoch(value: Decimal, field: str) -> datetime:
    """The UTC time of a Unix time in s, ms, us or ns, told apart by size; what is past the microsecond is cut."""
    for shift in (0, 3, 6, 9):
        if EARLIEST <= value.scaleb(-shift, _WIDE) < LATEST:
            return EPOCH + timedelta(0, 0, int(value.scaleb(6 - shift, _WIDE)))
    raise invalid(field, value, "is not a Unix time from 2001 to 2099 in s, ms, us or ns")


def is_number(text: str) -> bool:
    """Whether text is a decimal number, perhaps with an exponent."""
    return len(text) <= 4 * DIGITS_LIMIT and _number(text) is not None


@lru_cache(maxsize=16_384)
def named(name: str, field: str) -> str:
    """A name that can be stored, shown and filtered by; INVALID_VALUE otherwise."""
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable() or name != name.strip():
        raise invalid(field, name, f"is not a name of 1 to {NAME_LIMIT} printable characters")
    return name


@lru_cache(maxsize=1024)
def labelled(label: str, field: str) -> str:
    """A short technical name, such as an interval; it needs no escaping in JSON."""
    if not _label(label):
        raise invalid(field, label, "is not a label of letters, digits and . + : - _")
    return label


@dataclass(frozen=True, slots=True)
class Source:
    """Where frames come from, as far as it says what they are about."""

    host: str
    path: tuple[str, ...]
    query: dict[str, str]


@lru_cache(maxsize=4096)
def source_of(url: str) -> Source:
    """A connector's URL in parts; a URL that cannot be read has none."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        query = dict(parse_qsl(parts.query, max_num_fields=100))
    except ValueError:
        return Source(host="", path=(), query={})
    return Source(
        host=host, path=tuple(part for part in parts.path.split("/") if part), query=query
    )
