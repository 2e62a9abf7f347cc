"""Misbehaviour on request: what goes wrong, where, how often; the same seed gives the same mishaps."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from infra.replay.spans import parse

ACTIVE_LIMIT = 100
HUGE_BYTES = 2 * 1024 * 1024

_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})


class FaultKind(Enum):
    """What goes wrong."""

    DISCONNECT = "disconnect"  # a closing handshake, or half an answer
    ABORT = "abort"  # the TCP connection is reset
    SILENCE = "silence"  # open, but nothing comes any more, not even pongs
    DUPLICATE = "duplicate"  # a frame comes twice
    REORDER = "reorder"  # a frame comes after its successor
    CORRUPT = "corrupt"  # a frame or answer is damaged
    STATUS = "status"  # a request or handshake is answered with an error status
    SLOW = "slow"  # a frame or answer comes late


class Corruption(Enum):
    """How a frame is damaged."""

    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    WRONG_TYPES = "wrong_types"
    BINARY = "binary"
    NAN = "nan"
    ABSURD = "absurd"
    HUGE = "huge"


class Transport(Enum):
    """Where a fault strikes."""

    WEBSOCKET = "websocket"
    REST = "rest"


SUITED = {
    Transport.WEBSOCKET: frozenset(FaultKind) - {FaultKind.STATUS},
    Transport.REST: frozenset(FaultKind) - {FaultKind.DUPLICATE, FaultKind.REORDER},
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of mishap, drawn for every data frame, REST request or (STATUS) WebSocket handshake in its reach.

    `venue` and `transport` None reach all. The first `after` chances pass by, then each strikes with
    `probability`, at most `count` times (None: without end). `seconds` is how long SLOW delays and SILENCE lasts
    (SILENCE None: until the fault is removed or the connection ends). `status` and `retry_after` belong to STATUS,
    `corruption` (None: any) and `size_bytes` of a HUGE frame to CORRUPT, `close_code` to DISCONNECT.
    """

    kind: FaultKind
    venue: str | None = None
    transport: Transport | None = None
    probability: float = 1.0
    count: int | None = None
    after: int = 0
    seconds: float | None = None
    status: int = 429
    retry_after: str | None = None
    corruption: Corruption | None = None
    size_bytes: int = HUGE_BYTES
    close_code: int = 1012

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError("probability must be from 0 to 1")
        if not 400 <= self.status <= 599:
            raise ValueError("status must be from 400 to 599")
        if self.seconds is not None and not 0 <= self.seconds <= 86_400:
            raise ValueError("seconds must be from 0 to 86400")
        if not 0 <= self.size_bytes <= 256 * 1024 * 1024:
            raise ValueError("size_bytes must be from 0 to 268435456")
        if self.kind is FaultKind.SLOW and self.seconds is None:
            raise ValueError("SLOW needs seconds")
        if self.close_code not in _CLOSE_CODES:
            raise ValueError("close_code must be one a server may send")


class _Active:
    """A fault at work: its chances so far and its own dice."""

    __slots__ = ("chances", "dice", "fault", "struck")

    def __init__(self, fault: Fault, dice: random.Random) -> None:
        self.fault = fault
        self.dice = dice
        self.chances = 0
        self.struck = 0

    def draw(self) -> bool:
        """Whether this chance is hit."""
        fault = self.fault
        self.chances += 1
        if self.chances <= fault.after or (fault.count is not None and self.struck >= fault.count):
            return False
        if fault.probability < 1 and self.dice.random() >= fault.probability:
            return False
        self.struck += 1
        return True

    @property
    def spent(self) -> bool:
        """Whether it can never strike again."""
        return self.fault.count is not None and self.struck >= self.fault.count


class Faults:
    """The faults at work, changeable while the replayer runs."""

    def __init__(self, seed: int, faults: tuple[Fault, ...] = ()) -> None:
        self._seed = seed
        self._minted = 0
        self._active: dict[int, _Active] = {}
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> int:
        """Put a fault to work; its id removes it. Raises ValueError when too many are at work."""
        if len(self._active) >= ACTIVE_LIMIT:
            raise ValueError(f"at most {ACTIVE_LIMIT} faults at once")
        self._minted += 1
        dice = random.Random(f"{self._seed}/{self._minted}")  # noqa: S311 - repeatable, not secret
        self._active[self._minted] = _Active(fault, dice)
        return self._minted

    def remove(self, id: int) -> bool:
        """Stop a fault; False when there is none of that id."""
        return self._active.pop(id, None) is not None

    def clear(self) -> None:
        """Behave again."""
        self._active.clear()

    def listed(self) -> list[tuple[int, Fault, int]]:
        """Id, fault and how often it struck."""
        return [(id, active.fault, active.struck) for id, active in self._active.items()]

    def holds(self, id: int) -> bool:
        """Whether the fault is still at work."""
        return id in self._active

    def reach(self, venue: str, transport: Transport) -> bool:
        """Whether any fault may yet strike there."""
        return any(
            not active.spent and _reaches(active.fault, venue, transport)
            for active in self._active.values()
        )

    def strike(
        self, venue: str, transport: Transport, kinds: frozenset[FaultKind]
    ) -> Iterator[tuple[int, Fault, random.Random]]:
        """The faults that hit this frame, request or handshake, with their dice."""
        for id, active in list(self._active.items()):
            fault = active.fault
            if fault.kind in kinds and _reaches(fault, venue, transport) and active.draw():
                yield id, fault, active.dice


def _reaches(fault: Fault, venue: str, transport: Transport) -> bool:
    return fault.venue in (None, venue) and fault.transport in (None, transport)


def corrupted(text: bytes, fault: Fault, dice: random.Random) -> tuple[bytes, bool]:
    """A damaged copy of a JSON frame, and whether it goes out as a binary frame."""
    how = fault.corruption or dice.choice(list(Corruption))
    match how:
        case Corruption.MALFORMED:
            return text.replace(b":", b";", 1) if b":" in text else text + b"}", False
        case Corruption.TRUNCATED:
            return text[: max(1, len(text) * 2 // 3)], False
        case Corruption.WRONG_TYPES:
            return _replaced(text, dice, (b'{"not":"this"}', b"true", b'"?"', b"[[]]")), False
        case Corruption.BINARY:
            return dice.randbytes(max(16, len(text))), True
        case Corruption.NAN:
            return _replaced(text, dice, (b"NaN", b"Infinity", b"-Infinity")), False
        case Corruption.ABSURD:
            return _replaced(
                text, dice, (b'"1e999999999"', b'"-99999999999999999999999999"')
            ), False
        case Corruption.HUGE:
            return _padded(text, fault.size_bytes), False


def _replaced(text: bytes, dice: random.Random, values: tuple[bytes, ...]) -> bytes:
    """The frame with every decimal, or failing that every scalar, replaced by something that is none."""
    _, spans = parse(text)
    scalars = [span for span in spans if span.scalar]
    decimals = [span for span in scalars if b"." in text[span.start : span.end]]
    value = dice.choice(values)
    for span in reversed(decimals or scalars):
        quoted = text[span.start - 1 : span.start] == b'"'
        start, end = (span.start - 1, span.end + 1) if quoted else (span.start, span.end)
        text = text[:start] + value + text[end:]
    return text


def _padded(text: bytes, size: int) -> bytes:
    """The frame, still JSON, grown to a size by a field of its own."""
    padding = json.dumps("x" * max(0, size - len(text))).encode()
    if text.startswith(b"{") and text != b"{}":
        return b'{"padding":' + padding + b"," + text[1:]
    return b"[" + text + b"," + padding + b"]"
