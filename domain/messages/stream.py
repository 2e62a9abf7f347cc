"""The live stream: how it is delivered, what its events are, and the port it is read through."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from domain.errors import InvalidInput
from domain.identity import Viewer
from domain.live import LiveStream
from domain.messages.filters import MessageFilter
from domain.messages.ticks import Message
from domain.positions import Position

SAMPLE_INTERVAL_MS = (10, 3_600_000)


class DeliveryMode(Enum):
    """What a subscriber gets when messages come faster than it wants or can read."""

    EVERY = "every"
    LATEST = "latest"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How to deliver; `interval_ms` belongs to SAMPLE alone."""

    mode: DeliveryMode = DeliveryMode.EVERY
    interval_ms: int | None = None

    def __post_init__(self) -> None:
        low, high = SAMPLE_INTERVAL_MS
        if self.mode is DeliveryMode.SAMPLE:
            if self.interval_ms is None or not low <= self.interval_ms <= high:
                raise InvalidInput(
                    field="delivery.intervalMs", reason=f"SAMPLE needs one from {low} to {high}"
                )
        elif self.interval_ms is not None:
            raise InvalidInput(field="delivery.intervalMs", reason="belongs to SAMPLE alone")


class GapReason(Enum):
    """Why messages between two cursors were not sent."""

    SLOW_CONSUMER = "slow_consumer"
    RETENTION = "retention"
    RESET = "reset"
    OVERLOAD = "overload"


@dataclass(slots=True)
class MessageBatch:
    """Messages announced together; `cursor` is where a reader stands after them."""

    messages: list[Message]
    position: Position
    published_at: datetime
    key: str | None = None  # newest-wins slot of LATEST and SAMPLE: the instrument; None for EVERY

    @property
    def cursor(self) -> str:
        """The position as clients carry it."""
        return self.position.encode()


@dataclass(slots=True)
class Gap:
    """Messages the subscriber did not get: those after `after`, up to `before`."""

    after: str | None
    before: str
    missed: int | None
    reason: GapReason


MessageEvent = MessageBatch | Gap


class Feed(Protocol):
    """The live stream, as subscriptions read it."""

    def messages(
        self, viewer: Viewer, filter: MessageFilter, after: str | None, delivery: Delivery
    ) -> LiveStream[MessageEvent]:
        """Messages from `after` on, or from now on; raises InvalidInput for a cursor that is none."""
