"""UUIDv7 keys: time-ordered, so that new rows land at the end of an index (RFC 9562, section 5.7)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def uuid7(now: datetime, randomness: bytes) -> UUID:
    """A UUIDv7 from a UTC time (millisecond precision) and 10 random bytes."""
    milliseconds = (now - EPOCH) // timedelta(milliseconds=1)
    tail = int.from_bytes(randomness, "big") & ((1 << 74) - 1)
    high, low = tail >> 62, tail & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
