"""Streams that many subscribers can share."""

from collections.abc import AsyncIterator, Hashable
from typing import Protocol, TypeVar

E_co = TypeVar("E_co", covariant=True)


class LiveStream(Protocol[E_co]):
    """What a subscription resolver returns: iterating it gives one subscriber's events from the beginning.

    Two streams with equal `topic` have the same live events, so a server may run them once for all their
    subscribers and give each only its own beginning.
    """

    @property
    def topic(self) -> Hashable:
        """Equal exactly when the live events are the same."""

    def __aiter__(self) -> AsyncIterator[E_co]: ...
