"""What a connector hands to the writer, and what the writer tells back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.messages import QuarantinedFrame, SequenceGap, Tick


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one connector: no other process has it while it is renewed.

    `epoch` grows with every change of holder; `version` is the connector's configuration as last looked at, `secrets`
    the versions of those it refers to.
    """

    connector_id: UUID
    workspace_id: UUID
    holder: UUID
    epoch: int
    version: int
    secrets: str = ""


@dataclass(slots=True)
class Arrival:
    """One received frame: its new ticks (duplicates taken out), or why it has none, and the gaps it showed.

    `epoch` is the lease under which it was received; `frame_bytes` the size of the frame as received.
    """

    workspace_id: UUID
    connector_id: UUID
    epoch: int
    received_at: datetime
    ticks: list[Tick]
    frame_bytes: int
    quarantined: QuarantinedFrame | None = None
    gaps: list[SequenceGap] = field(default_factory=list)


class Intake(Protocol):
    """The writer's bounded buffer."""

    async def put(self, arrival: Arrival) -> None:
        """Take an arrival; waits while the buffer is full, which slows the reader."""


class WriteObserver(Protocol):
    """Hears what became of arrivals; called on the event loop, must be quick and never raise."""

    def committed(
        self,
        connector_id: UUID,
        messages: int,
        last_received_at: datetime,
        delays_ms: Sequence[float],
    ) -> None:
        """Messages of a connector are stored; `delays_ms`: (a sample of) source to commit, milliseconds."""

    def shed(self, connector_id: UUID, ticks: Sequence[Tick], frames: int) -> None:
        """Ticks and quarantined frames of a connector were given up before they were stored."""
