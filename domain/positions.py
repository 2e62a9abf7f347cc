"""Where a reader stands in the message stream.

A message id is a 63-bit number: 41 bits of milliseconds since 2024-01-01 UTC, 10 bits of node, 12 bits of
sequence. Each writing process leases one node and commits its ids in order, so "the last id seen of each
node" says exactly which messages a reader has and has not seen. That vector is the cursor.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
EPOCH_MS = int(EPOCH.timestamp() * 1000)
NODE_BITS = 10
SEQUENCE_BITS = 12
NODES = 1 << NODE_BITS
MILLISECOND = 1 << (NODE_BITS + SEQUENCE_BITS)
MAX_ID = (1 << 63) - 1

_VERSION = 1


def milliseconds_of(moment: datetime) -> int:
    """Whole Unix milliseconds of a time, exact where `timestamp()` is not."""
    return (moment - EPOCH) // timedelta(milliseconds=1) + EPOCH_MS


def first_id_at(moment: datetime) -> int:
    """The smallest id that can be minted at or after a UTC time; 0 before the epoch."""
    return min(max(milliseconds_of(moment) - EPOCH_MS, 0) * MILLISECOND, MAX_ID)


def node_of(id: int) -> int:
    """The node that minted this id."""
    return id >> SEQUENCE_BITS & (NODES - 1)


def time_of(id: int) -> datetime:
    """When this id was minted, to the millisecond, UTC."""
    return datetime.fromtimestamp((id // MILLISECOND + EPOCH_MS) / 1000, UTC)


class Minter:
    """Mints increasing ids for one node, never below the last one the node is known to have used."""

    __slots__ = ("_last", "_node")

    def __init__(self, node: int, last_id: int = 0) -> None:
        if not 0 <= node < NODES:
            raise ValueError(f"node must be from 0 to {NODES - 1}, not {node}")
        self._node = node << SEQUENCE_BITS
        self._last = last_id

    def mint(self, milliseconds: int) -> int:
        """The next id for a Unix time in milliseconds; runs ahead of the clock rather than repeat."""
        candidate = (milliseconds - EPOCH_MS) * MILLISECOND | self._node
        if candidate <= self._last:
            candidate = self._last + 1
            if candidate >> SEQUENCE_BITS & (NODES - 1) != self._node >> SEQUENCE_BITS:
                candidate = (self._last // MILLISECOND + 1) * MILLISECOND | self._node
        self._last = candidate
        return candidate


@dataclass(frozen=True, slots=True)
class Position:
    """The last id seen of each node; compares by content and encodes to a short opaque text."""

    last: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "last", MappingProxyType(dict(self.last)))

    def __hash__(self) -> int:
        return hash(frozenset(self.last.items()))

    def of(self, node: int) -> int:
        """The last id seen of a node, 0 when none was."""
        return self.last.get(node, 0)

    def has(self, id: int) -> bool:
        """Whether the message with this id lies at or before this position."""
        return id <= self.of(node_of(id))

    def advanced(self, ids: Iterable[int]) -> "Position":
        """This position after also having seen `ids`."""
        last = dict(self.last)
        for id in ids:
            node = node_of(id)
            if id > last.get(node, 0):
                last[node] = id
        return Position(last)

    def merged(self, other: "Position") -> "Position":
        """The later of both for every node."""
        return self.advanced(other.last.values())

    def encode(self) -> str:
        """Opaque text for clients: version byte, then the ids (each holds its node), 8 bytes each."""
        payload = bytes([_VERSION]) + b"".join(
            id.to_bytes(8, "big") for _, id in sorted(self.last.items())
        )
        return base64.urlsafe_b64encode(payload).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> "Position":
        """The position that `encode` wrote; raises ValueError for any other text."""
        try:
            payload = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("not a cursor of this service") from error
        if not payload or payload[0] != _VERSION or len(payload) % 8 != 1:
            raise ValueError("not a cursor of this service")
        if len(payload) > 1 + 8 * NODES:
            raise ValueError("not a cursor of this service")
        ids = [int.from_bytes(payload[at : at + 8], "big") for at in range(1, len(payload), 8)]
        if any(not 0 < id <= MAX_ID for id in ids) or len({node_of(id) for id in ids}) != len(ids):
            raise ValueError("not a cursor of this service")
        return cls({node_of(id): id for id in ids})
