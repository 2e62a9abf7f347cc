"""JMESPath over exact JSON: numbers are decimals, and what a path selects keeps its own text in the frame."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import jmespath
import msgspec
from jmespath import functions
from jmespath.exceptions import JMESPathError

from infra.feeds.venues import wire

PATH_LIMIT = 200
INTEGER_DIGITS = 1_000  # Python refuses to read integers of many more
BUILT_LIMIT = 2  # lists a path may build: more could double what they select, again and again


def _decimal(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        return text


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) <= INTEGER_DIGITS else Decimal(text)


class Functions(functions.Functions):
    """JMESPath's functions, for which a Decimal is a number."""

    def _get_allowed_pytypes(self, types: Any) -> Any:
        allowed, subtypes = super()._get_allowed_pytypes(types)  # type: ignore[misc]
        if "float" in allowed:
            allowed = [*allowed, "Decimal"]
        return allowed, [(*s, "Decimal") if "float" in s else s for s in subtypes]

    @functions.signature({"types": []})
    def _func_to_number(self, arg: Any) -> Any:
        if isinstance(arg, str):
            return _decimal(arg) if wire.is_number(arg) else None
        return arg if isinstance(arg, int | float | Decimal) and arg is not True else None


_OPTIONS = jmespath.Options(custom_functions=Functions())
_raw = msgspec.json.Decoder(msgspec.Raw).decode
_objects = msgspec.json.Decoder(float_hook=_decimal).decode
# whatever a user's path can make JMESPath and its functions do with data they were not meant for
_MISTAKES = (JMESPathError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


def tree(frame: bytes) -> Any:
    """JSON as Python objects, fractions as Decimal; MALFORMED when it is none."""
    try:
        return _objects(frame)
    except msgspec.ValidationError:  # a whole number too long for msgspec
        _raw(frame)
        try:
            return json.loads(frame, parse_float=_decimal, parse_int=_whole)
        except ValueError as error:
            raise wire.malformed(str(error)) from None


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path; `names` when it only steps from field to field."""

    text: str
    names: tuple[str, ...] | None
    expression: Any

    def find(self, value: Any) -> Any:
        """What is there, None when nothing is; UNEXPECTED when the path cannot be applied."""
        if self.names is None:
            try:
                return self.expression.search(value, options=_OPTIONS)
            except _MISTAKES as error:
                raise wire.unexpected(f"path {wire.shown(self.text)}: {error}") from None
        for name in self.names:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    def elements(self, frame: bytes, root: Any) -> list[tuple[Any, str]]:
        """The objects and arrays this path selects in a frame, each with its own text."""
        found = self.find(root)
        if isinstance(found, dict):
            found = [found]
        if not isinstance(found, list):
            raise wire.unexpected(f"items: no list at {wire.shown(self.text)}")
        places = dict(_places(root, {id(element) for element in found}))
        texts = _Texts(frame)
        elements = []
        for element in found:
            place = places.get(id(element))
            if place is None:
                raise wire.unexpected(
                    f"items: {wire.shown(self.text)} must select objects of the frame, not build {wire.shown(element)}"
                )
            elements.append((element, texts.at(place)))
        return elements


def _places(root: Any, wanted: set[int]) -> Iterator[tuple[int, tuple[str | int, ...]]]:
    """Where in a tree the wanted containers are, by identity."""
    pending: list[tuple[Any, tuple[str | int, ...]]] = [(root, ())]
    while pending and wanted:
        value, place = pending.pop()
        if id(value) in wanted:
            wanted.discard(id(value))
            yield id(value), place
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        pending.extend(
            (inner, (*place, step)) for step, inner in steps if isinstance(inner, dict | list)
        )


class _Texts:
    """Cuts parts out of a frame, reading each level on the way once."""

    def __init__(self, frame: bytes) -> None:
        self._levels: dict[tuple[str | int, ...], Any] = {}
        self._frame = frame

    def at(self, place: tuple[str | int, ...]) -> str:
        return wire.text_of(self._raw(place))

    def _raw(self, place: tuple[str | int, ...]) -> Any:
        if not place:
            return self._frame
        *above, step = place
        level: Any = self._levels.get(tuple(above))
        if level is None:
            level = self._levels[tuple(above)] = wire.shape(self._raw(tuple(above)))
        return level[step]


@lru_cache(maxsize=4096)
def compiled(path: str) -> Path:
    """A path that `problem` found no fault in."""
    expression = jmespath.compile(path)
    return Path(text=path, names=_names(expression.parsed), expression=expression)


def problem(path: str) -> str | None:
    """Why a path cannot be used, None when it can."""
    if not 0 < len(path) <= PATH_LIMIT:
        return f"must have 1 to {PATH_LIMIT} characters"
    try:
        parsed = jmespath.compile(path).parsed
    except JMESPathError as error:
        return f"is no JMESPath: {str(error).splitlines()[0]}"
    if sum(node["type"].startswith("multi_select") for node in _nodes(parsed)) > BUILT_LIMIT:
        return f"builds more than {BUILT_LIMIT} lists or objects"
    unknown = {node["value"] for node in _nodes(parsed) if node["type"] == "function_expression"}
    unknown -= Functions.FUNCTION_TABLE.keys()
    return f"calls unknown functions: {', '.join(sorted(unknown))}" if unknown else None


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", ()):
        if isinstance(child, dict):
            yield from _nodes(child)


def _names(node: Any) -> tuple[str, ...] | None:
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return None
    parts = [_names(child) for child in node["children"]]
    return None if None in parts else tuple(name for part in parts if part for name in part)
