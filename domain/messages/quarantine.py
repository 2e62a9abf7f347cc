"""Frames that could not be understood, kept until they can."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol
from uuid import UUID

from sqlalchemy import DateTime, LargeBinary
from sqlmodel import Field, SQLModel

from domain.columns import text_enum
from domain.errors import DomainError
from domain.identity import Viewer


class QuarantineReason(Enum):
    """Why a frame could not become messages."""

    MALFORMED = "malformed"
    UNEXPECTED = "unexpected"
    INVALID_VALUE = "invalid_value"
    TOO_LARGE = "too_large"


class QuarantineState(Enum):
    """Whether a quarantined frame was understood since."""

    HELD = "held"
    REPLAYED = "replayed"


class QuarantinedFrame(SQLModel, table=True):
    """A frame that could not be understood, kept whole (up to the size limit) until it can."""

    __tablename__ = "quarantined_frames"

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE")
    connector_id: UUID
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
    reason: QuarantineReason = Field(sa_type=text_enum(QuarantineReason))
    explanation: str
    source: str
    frame: bytes = Field(sa_type=LargeBinary)
    frame_bytes: int
    state: QuarantineState = Field(default=QuarantineState.HELD, sa_type=text_enum(QuarantineState))
    replayed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class CannotNormalise(DomainError):
    """A frame that a normaliser does not understand: it goes to quarantine, whole."""

    def __init__(self, reason: QuarantineReason, explanation: str) -> None:
        super().__init__(explanation)
        self.reason = reason
        self.explanation = explanation


@dataclass(frozen=True, slots=True)
class ReplayedQuarantine:
    """What a replay of quarantined frames did: frames understood, messages stored, frames tried that are still held."""

    replayed_count: int
    message_count: int
    still_held_count: int


class QuarantineReplay(Protocol):
    """Reads quarantined frames again, after a fix."""

    async def replay(
        self, viewer: Viewer, connector_id: UUID, ids: Sequence[UUID] | None = None
    ) -> ReplayedQuarantine:
        """Normalise held frames of a connector and store what they say: `ids`, or oldest first.

        Ends when 1,000 became REPLAYED, all were tried, or 20 seconds have passed. Raises NotFound for a connector the
        viewer may not see; frames that are not held any more are passed over.
        """
