"""Recorded frames compiled for replay: the bytes around the times and numbers that move, and those as slots."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Any

from infra.replay.spans import Path, Span, parse

SECOND = 1_000_000_000
MILLISECOND = 1_000_000

_ISO = re.compile(rb"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?")
_UNITS = {10: SECOND, 13: MILLISECOND, 16: 1000, 19: 1}


class Role(Enum):
    """What a field that moves means."""

    NUMBER = "number"  # a venue's sequence, update or trade number
    TIME = "time"  # a moment
    START = "start"  # a candle's edge: stays on its interval's grid
    COUNTER = "counter"  # counts the frames of one connection


@dataclass(frozen=True, slots=True)
class Mark:
    """How a field moves. Numbers of one `group` and scope share a stride; `by` names the sibling that scopes them.

    `main` marks the moment the frame itself is of; `previous` a number that points at the frame before.
    """

    role: Role
    group: str = ""
    by: str | None = None
    previous: bool = False
    main: bool = False


Rules = Mapping[Path, Mark]


@dataclass(frozen=True, slots=True)
class Draft:
    """A recorded frame and what is known of it; `scope` keeps apart the numbers of different streams."""

    text: bytes
    rules: Rules
    streams: tuple[str, ...] = ()
    scope: str = ""
    snapshot: bool = False
    interval_ns: int = 0
    recorded_ns: int | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    span: Span
    mark: Mark
    key: tuple[str, str]


_Slot = tuple[Role | None, int, int]


class Template:
    """A frame that can be rendered for any pass and moment; everything outside its slots stays byte for byte."""

    __slots__ = ("_anchor", "_format", "_interval", "_origin", "_slots", "size")

    def __init__(
        self, format: bytes, slots: tuple[_Slot, ...], anchor: int, origin: int, interval: int
    ) -> None:
        self._format = format
        self._slots = slots
        self._anchor = anchor
        self._origin = origin
        self._interval = interval
        self.size = len(format)

    @property
    def anchor_ns(self) -> int:
        """The recorded moment of the frame, Unix nanoseconds: rendering for it moves no time."""
        return self._anchor

    def render(self, turn: int, due_ns: int, counter: int = 0) -> bytes:
        """The frame as the venue would send it in the given pass (0: the recorded numbers) at a Unix time."""
        shift = due_ns - self._anchor
        values: list[int | bytes] = []
        for role, base, step in self._slots:
            if role is Role.NUMBER:
                values.append(base + step * turn)
            elif role is Role.TIME:
                values.append((base + shift) // step)
            elif role is Role.START:
                values.append((base + self._aligned(due_ns)) // step)
            elif role is Role.COUNTER:
                values.append(counter)
            else:
                values.append(_iso(base + shift, step))
        return self._format % tuple(values)

    def _aligned(self, due_ns: int) -> int:
        """The shift in whole intervals that keeps the frame where it was within its candle."""
        interval, origin = self._interval, self._origin
        if not interval:
            return due_ns - self._anchor
        return ((due_ns - origin) // interval - (self._anchor - origin) // interval) * interval


def compile_all(drafts: Iterable[Draft]) -> list[Template]:
    """Templates for frames that belong together; raises ValueError for a frame that is no JSON."""
    found = [(draft, _find(draft)) for draft in drafts]
    strides = _strides(found)
    return [_compile(draft, fields, strides) for draft, fields in found]


def _find(draft: Draft) -> list[_Found]:
    value, spans = parse(draft.text)
    fields = []
    for span in spans:
        mark = _mark_of(draft.rules, span.path) if span.scalar else None
        if mark is None or not _usable(draft.text[span.start : span.end], mark):
            continue
        scope = draft.scope
        if mark.by is not None:
            scope = f"{scope}/{_at(value, span.path[:-1]).get(mark.by)}"
        fields.append(_Found(span, mark, (scope, mark.group)))
    return fields


def _mark_of(rules: Rules, path: Path) -> Mark | None:
    """The mark of a path; `*` in a rule stands for any index."""
    if path in rules:
        return rules[path]
    for rule, mark in rules.items():
        if len(rule) == len(path) and all(map(_fits, rule, path)):
            return mark
    return None


def _fits(wanted: str | int, part: str | int) -> bool:
    return wanted == part or (wanted == "*" and isinstance(part, int))


def _usable(text: bytes, mark: Mark) -> bool:
    """Whether the field holds what its mark says: venues write -1 or 0 for "none"."""
    if mark.role in (Role.NUMBER, Role.COUNTER):
        return text.isdigit()
    return (text.isdigit() and len(text) in _UNITS) or _ISO.match(text) is not None


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _strides(found: Iterable[tuple[Draft, list[_Found]]]) -> dict[tuple[str, str], int]:
    """How far each group of numbers moves in a pass, so that the next pass begins right after the last number."""
    numbers: dict[tuple[str, str], list[int]] = {}
    before: dict[tuple[str, str], list[int]] = {}
    for draft, fields in found:
        for field in fields:
            if field.mark.role is Role.NUMBER:
                into = before if field.mark.previous else numbers
                value = int(draft.text[field.span.start : field.span.end])
                into.setdefault(field.key, []).append(value)
    strides = {}
    for key, values in numbers.items():
        first = before.get(key, [min(values)])[0]
        strides[key] = max(values) - min(values) + 1
        if first < min(values):
            strides[key] = max(values) - first
    return strides


def _compile(
    draft: Draft, fields: list[_Found], strides: Mapping[tuple[str, str], int]
) -> Template:
    pieces: list[bytes] = []
    slots: list[_Slot] = []
    starts: list[int] = []
    moments: list[int] = []
    mains: list[int] = []
    at = 0
    for field in fields:
        start, end, mark = field.span.start, field.span.end, field.mark
        text = draft.text[start:end]
        if mark.role is Role.NUMBER:
            slot: _Slot = (Role.NUMBER, int(text), strides.get(field.key, 0))
        elif mark.role is Role.COUNTER:
            slot = (Role.COUNTER, 0, 0)
        else:
            slot, length = _moment(text, mark.role)
            end = start + length
            (starts if mark.role is Role.START else moments).append(slot[1])
            if mark.main:
                mains.append(slot[1])
        pieces += [_escape(draft.text[at:start]), b"%b" if slot[0] is None else b"%d"]
        slots.append(slot)
        at = end
    pieces.append(_escape(draft.text[at:]))
    anchor = _anchor(draft, mains, moments, starts)
    origin = min(starts) if starts else 0
    return Template(b"".join(pieces), tuple(slots), anchor, origin, draft.interval_ns)


def _anchor(draft: Draft, mains: list[int], moments: list[int], starts: list[int]) -> int:
    """The frame's own moment: what it says itself, else when it was recorded, else the latest time in it."""
    if mains:
        return max(mains)
    if draft.recorded_ns is not None:
        return draft.recorded_ns
    return max(moments or starts or [0])


def _moment(text: bytes, role: Role) -> tuple[_Slot, int]:
    """A time field's slot, in nanoseconds, and how many of its bytes are written anew."""
    match = _ISO.match(text)
    if match is None:
        unit = _UNITS[len(text)]
        return (role, int(text) * unit, unit), len(text)
    whole = datetime.fromisoformat(match.group(1).decode()).replace(tzinfo=UTC)
    digits = match.group(2) or b""
    base = int(whole.timestamp()) * SECOND + int(digits.ljust(9, b"0"))
    blank = 1 if text[10:11] == b" " else 0
    return (None, base, len(digits) * 2 + blank), match.end()


def _escape(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def _iso(moment_ns: int, style: int) -> bytes:
    """ISO 8601 without zone; `style` is twice the fractional digits, plus one for a blank instead of the T."""
    second, rest = divmod(moment_ns, SECOND)
    digits, blank = divmod(style, 2)
    whole = _whole_second(second, b" " if blank else b"T")
    if not digits:
        return whole
    return b"%b.%0*d" % (whole, digits, rest // 10 ** (9 - digits))


@lru_cache(maxsize=256)
def _whole_second(second: int, separator: bytes) -> bytes:
    moment = datetime.fromtimestamp(second, UTC)
    return moment.strftime("%Y-%m-%d").encode() + separator + moment.strftime("%H:%M:%S").encode()


def iso_micros(moment_ns: int) -> str:
    """A Unix time as ISO 8601 UTC with six fractional digits and Z."""
    return f"{_iso(moment_ns, 12).decode()}Z"
