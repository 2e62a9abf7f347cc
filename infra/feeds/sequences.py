"""What a connector has already seen: duplicates told by key, holes told by the venue's own numbers."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain.messages import MessageType, Tick

WINDOW = 65_536
REORDER = 4_096
LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Hole:
    """Numbers that were skipped: those after `after` and before `before`."""

    instrument: str
    type: MessageType
    after: int
    before: int


class StoredKey(NamedTuple):
    """What a stored message tells of what was seen: its key, and the venue's number."""

    key: str
    instrument: str
    type: MessageType
    sequence: str | None


@dataclass(slots=True)
class Admission:
    """What of a frame is new, how many of its ticks were not, and the holes it showed."""

    ticks: list[Tick]
    duplicates: int
    holes: list[Hole]


class Sequences:
    """The memory of one connector: the last `window` keys, and the last number of every numbering.

    A number more than `reorder` below the last one means that the venue began to count anew; a smaller step
    back is a late arrival.
    """

    __slots__ = ("_keys", "_last", "_reorder", "_stored", "_window")

    def __init__(self, window: int = WINDOW, reorder: int = REORDER) -> None:
        self._window = window
        self._reorder = reorder
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._last: OrderedDict[tuple[str, MessageType, str], int] = OrderedDict()
        self._stored: dict[tuple[str, MessageType, str], int] = {}

    def preload(self, newest_first: Sequence[StoredKey]) -> None:
        """Know what is stored: a restart stores nothing twice, and tells what it missed."""
        for stored in reversed(newest_first):
            self._remember(stored.key)
            sequence = stored.sequence or ""
            if sequence.isdecimal() and len(sequence) < len(str(LARGEST)):
                numbering = (stored.instrument, stored.type, _kind(stored.key))
                seen, number = self._stored.get(numbering), int(sequence)
                if seen is None or self._is_news(number, seen):
                    self._stored[numbering] = number

    def admit(self, ticks: Sequence[Tick]) -> Admission:
        """Let each key through once; report numbers that were skipped since the last frame."""
        fresh: list[Tick] = []
        numbered = False
        for tick in ticks:
            key = tick.key
            if key is not None:
                if key in self._keys:
                    continue
                self._remember(key)
            fresh.append(tick)
            numbered = numbered or tick.run is not None
        holes = self._holes(fresh) if numbered else []
        return Admission(fresh, len(ticks) - len(fresh), holes)

    def forget(self, ticks: Iterable[Tick]) -> None:
        """Take back ticks that were given up before they were stored: they are new if they come again."""
        for tick in ticks:
            if tick.key is not None:
                self._keys.pop(tick.key, None)

    def _remember(self, key: str) -> None:
        self._keys[key] = None
        if len(self._keys) > self._window:
            self._keys.popitem(last=False)

    def _holes(self, ticks: list[Tick]) -> list[Hole]:
        if len(ticks) > 1:  # a frame may list its ticks newest first
            ticks = sorted(
                (tick for tick in ticks if tick.run is not None),
                key=lambda tick: tick.run or ("", 0, 0),
            )
        holes = []
        for tick in ticks:
            if tick.run is not None:
                hole = self._advance(tick, *tick.run)
                if hole is not None:
                    holes.append(hole)
        return holes

    def _advance(self, tick: Tick, stream: str, first: int, last: int) -> Hole | None:
        if not 0 <= first <= last <= LARGEST:
            return None
        numbering = (tick.instrument, tick.type, stream)
        seen = self._last.get(numbering)
        if seen is None and self._stored:
            seen = self._stored.pop((tick.instrument, tick.type, _kind(tick.key or "")), None)
            if seen is not None:
                self._last[numbering] = seen
        if seen is None or self._is_news(last, seen):
            self._last[numbering] = last
            if len(self._last) > self._window:
                self._last.popitem(last=False)
        if seen is None or first <= seen + 1:
            return None
        return Hole(tick.instrument, tick.type, seen, first)

    def _is_news(self, number: int, seen: int) -> bool:
        return number > seen or number < seen - self._reorder


def _kind(key: str) -> str:
    """What a key begins with: another for each numbering of an instrument and type."""
    return key.partition(":")[0]
