"""What the runtime of connectors needs from outside, and its patience and bounds."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Protocol
from uuid import UUID

from domain.connectors import ConnectorStatus, Secrets
from infra.feeds.arrival import Lease
from infra.feeds.backoff import Backoff
from infra.feeds.rest import PollOptions
from infra.feeds.sequences import StoredKey
from infra.feeds.socket import SocketOptions
from infra.feeds.store import Loaded


class LeaseSource(Protocol):
    """Which connectors this process may run."""

    async def claim(self) -> list[Lease]:
        """Lease enabled connectors that nobody runs; returns all that are held and enabled now."""

    async def renew(self) -> set[UUID]:
        """Extend what is held; returns those connectors."""

    async def release(self, connector_ids: Collection[UUID]) -> None:
        """Give connectors back."""


class Store(Protocol):
    """See ConnectorStore."""

    async def load(self, connector_id: UUID) -> Loaded | None:
        """The connector's present configuration; None when it is gone."""

    def open_secrets(self, loaded: Loaded) -> Secrets:
        """Its secrets, with those it refers to; raises ValueError when no key opens them, InvalidInput."""

    async def note_use(self, loaded: Loaded) -> None:
        """Write down that the connector uses the secrets it refers to."""

    async def enabled(self, connector_id: UUID) -> bool | None:
        """Whether it is meant to run; None when it is gone."""

    async def settle(self) -> list[ConnectorStatus]:
        """Call stopped what was told to stop while its process died; returns their statuses."""

    async def recent_keys(self, connector_id: UUID, limit: int) -> list[StoredKey]:
        """Keys of its last stored messages, newest first."""


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """Patience and bounds; durations in seconds, sizes in bytes."""

    lease_seconds: float = 6.0
    look_seconds: float = 1.0
    load_seconds: float = 10.0
    stop_seconds: float = 3.0
    settle_seconds: float = 2.0
    drain_seconds: float = 4.0
    frame_limit: int = 1_048_576
    preloaded_keys: int = 16_384
    loads_at_once: int = 4
    backoff: Backoff = field(default_factory=Backoff)
    socket: SocketOptions = field(default_factory=SocketOptions)
    poll: PollOptions = field(default_factory=PollOptions)
    random: Callable[[], float] = field(default_factory=lambda: SystemRandom().random)
