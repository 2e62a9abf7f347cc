"""Any other JSON source: a connector's mapping says where in a frame the facts of a message are.

A mapping has JMESPath paths (https://jmespath.org) by field: `items` to the list of messages (absent: the frame is one
message), and within each message `instrument`, `type`, `price`, `quantity`, `side`, `sequence` and `eventTime`
(ISO 8601, or a Unix time in s, ms, us or ns); `{"value": "BTC-USD"}` in place of a path is a constant. What is
mapped as instrument, type or price must be there; the rest may be missing. A message whose type is not mapped is OTHER.

Without a mapping each frame is one OTHER message whose instrument is the host it came from.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from domain.messages import CannotNormalise, MessageType, Side, Tick
from infra.feeds.venues import jsonpath, wire

EXCHANGE = "custom"
FIELDS = ("instrument", "type", "price", "quantity", "side", "sequence", "eventTime")
SIDES = {"buy": Side.BUY, "b": Side.BUY, "sell": Side.SELL, "s": Side.SELL}
TYPES = {type.value: type for type in MessageType}


@dataclass(frozen=True, slots=True)
class Reader:
    """A checked mapping: how to find each fact, or what it always is."""

    items: jsonpath.Path | None
    paths: dict[str, jsonpath.Path]
    constants: dict[str, Any]

    def tick(self, element: Any, text: str) -> Tick:
        """The message an element is."""
        instrument, type = self._required(element, "instrument"), MessageType.OTHER
        if self._mapped("type"):
            type = _type(self._required(element, "type"))
        price = None
        if self._mapped("price"):
            price = wire.signed(self._required(element, "price"), "price")
        quantity, side = self._value(element, "quantity"), self._value(element, "side")
        sequence, time = self._value(element, "sequence"), self._value(element, "eventTime")
        name = _text(instrument, "instrument")
        id = None if sequence is None else _text(sequence, "sequence")
        return Tick(
            EXCHANGE,
            name,
            type,
            price,
            None if quantity is None else wire.signed(quantity, "quantity"),
            None if side is None else _side(side),
            id,
            None if time is None else _time(time),
            text,
            None,
            None if id is None else f"{type.value}:{name}:{id}",
        )

    def _mapped(self, field: str) -> bool:
        return field in self.paths or field in self.constants

    def _value(self, element: Any, field: str) -> Any:
        path = self.paths.get(field)
        return self.constants.get(field) if path is None else path.find(element)

    def _required(self, element: Any, field: str) -> Any:
        value = self._value(element, field)
        if value is None:
            raise wire.unexpected(f"{field}: nothing at {wire.shown(self.paths[field].text)}")
        return value


def normalise(frame: bytes, source: str, mapping: dict[str, Any] | None) -> list[Tick]:
    """The messages of a frame; raises CannotNormalise."""
    text, tree = wire.text_of(frame), jsonpath.tree(frame)
    if not mapping:
        host = wire.source_of(source).host or EXCHANGE
        return [
            Tick(
                EXCHANGE,
                wire.named(host, "host"),
                MessageType.OTHER,
                None,
                None,
                None,
                None,
                None,
                text,
            )
        ]
    reader = _compiled(mapping)
    if reader.items is None:
        return [reader.tick(tree, text)]
    elements = reader.items.elements(frame, tree)
    if len(elements) == 1:
        return [reader.tick(elements[0][0], text)]
    return [reader.tick(element, part) for element, part in elements]


def check_mapping(mapping: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a mapping: a reason by field, empty when all is well."""
    problems: dict[str, str] = {}
    for field, told in mapping.items():
        reason = _problem(field, told)
        if reason is not None:
            problems[field] = reason
    if "instrument" not in mapping:
        problems["instrument"] = 'is required: a path, or a constant such as {"value": "BTC-USD"}'
    return problems


def _problem(field: str, told: Any) -> str | None:
    if field != "items" and field not in FIELDS:
        return f"is no field: use items, {', '.join(FIELDS)}"
    if isinstance(told, str):
        return jsonpath.problem(told)
    if field == "items" or not isinstance(told, dict) or told.keys() != {"value"}:
        return "must be a path" if field == "items" else 'must be a path or {"value": ...}'
    try:
        _CHECKS[field](told["value"])
    except CannotNormalise as error:
        return error.explanation
    return None


def _compiled(mapping: dict[str, Any]) -> Reader:
    try:
        return _reader(orjson.dumps(mapping))
    except TypeError as error:
        raise wire.unexpected(f"the connector's mapping is no JSON: {error}") from None


@lru_cache(maxsize=1024)
def _reader(text: bytes) -> Reader:
    mapping = orjson.loads(text)
    problems = check_mapping(mapping)
    if problems:
        raise wire.unexpected(f"the connector's mapping: {wire.shown(problems)}")
    paths = {f: jsonpath.compiled(told) for f, told in mapping.items() if isinstance(told, str)}
    return Reader(
        items=paths.pop("items", None),
        paths=paths,
        constants={f: told["value"] for f, told in mapping.items() if isinstance(told, dict)},
    )


def _text(value: Any, field: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 256:
        value = str(value)
    if not isinstance(value, str):
        raise wire.invalid(field, value, "is neither text nor a whole number")
    return wire.named(value, field)


def _type(value: Any) -> MessageType:
    type = TYPES.get(value.lower()) if isinstance(value, str) else None
    if type is None:
        raise wire.invalid("type", value, f"is none of {', '.join(TYPES)}")
    return type


def _side(value: Any) -> Side:
    side = SIDES.get(value.lower()) if isinstance(value, str) else None
    if side is None:
        raise wire.invalid("side", value, "is neither buy nor sell")
    return side


def _time(value: Any) -> datetime:
    if isinstance(value, str) and not wire.is_number(value):
        return wire.iso(value, "eventTime", naive_is_utc=True)
    return wire.epoch(wire.signed(value, "eventTime"), "eventTime")


def _price(value: Any) -> Decimal:
    return wire.signed(value, "value")


_CHECKS: dict[str, Any] = {
    "instrument": lambda value: _text(value, "value"),
    "type": _type,
    "price": _price,
    "quantity": _price,
    "side": _side,
    "sequence": lambda value: _text(value, "value"),
    "eventTime": _time,
}
