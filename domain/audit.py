"""Who did what, when and from where: events that are only ever added, each sealed to the one before."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import JSON, BigInteger, DateTime, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.columns import text_enum
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Database

ACCOUNTS_CHAIN: Final = UUID(int=0)
"""The chain of events that belong to no workspace: registrations, sign-ins, account changes."""

MASK: Final = "***"
"""What stands for a secret."""

WITHHELD: Final = "(withheld)"
"""What stands for personal data: it must not outlive its owner's wish to be forgotten, and events are never changed."""

SEALED: Final = (
    "id",
    "chain",
    "sequence",
    "at",
    "workspace_id",
    "user_id",
    "api_key_id",
    "session_id",
    "action",
    "outcome",
    "code",
    "subject_type",
    "subject_id",
    "changes",
    "address",
    "agent",
    "request_id",
)
"""What of an event its hash is over, in this order."""

DEEDS: Final = "deeds"
"""The key of `session.info` under which deeds wait, each with the savepoint it was noted in."""


class AuditOutcome(Enum):
    """How what was tried ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something and from where; all None for the service itself and its operator."""

    user_id: UUID | None = None
    api_key_id: UUID | None = None
    session_id: UUID | None = None
    address: str | None = None
    agent: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A field before and after; a secret is `***` in both places."""

    field: str
    before: Any
    after: Any


class AuditEvent(SQLModel, table=True):
    """One thing that was done. `sequence`, `previous_hash` and `hash` are set by the database."""

    __tablename__ = "audit_events"
    __table_args__ = (
        UniqueConstraint("chain", "sequence", name="audit_events_sequence_key"),
        Index("audit_events_workspace_idx", "workspace_id", "id"),
        Index("audit_events_user_idx", "user_id", "id"),
    )

    id: UUID = Field(primary_key=True)
    chain: UUID
    sequence: int = Field(default=0, sa_type=BigInteger)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    workspace_id: UUID | None = None
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    session_id: UUID | None = None
    action: str = Field(max_length=100)
    outcome: AuditOutcome = Field(default=AuditOutcome.DONE, sa_type=text_enum(AuditOutcome))
    code: str | None = Field(default=None, max_length=100)
    subject_type: str | None = Field(default=None, max_length=100)
    subject_id: str | None = Field(default=None, max_length=200)
    changes: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    address: str | None = Field(default=None, max_length=100)
    agent: str | None = Field(default=None, max_length=500)
    request_id: str | None = Field(default=None, max_length=100)
    previous_hash: bytes = Field(default=b"", sa_type=LargeBinary)
    hash: bytes = Field(default=b"", sa_type=LargeBinary)


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be written down; the rest of an event follows from the session it is written in."""

    action: str
    workspace_id: UUID | None = None
    subject_type: str | None = None
    subject_id: str | None = None
    changes: tuple[Change, ...] = ()
    outcome: AuditOutcome = AuditOutcome.DONE
    code: str | None = None
    facts: Mapping[str, Any] | None = None


@dataclass(eq=False, slots=True)
class Trail:
    """What one act has left in the audit: shared by all sessions it uses.

    `undone` are deeds noted in transactions that were rolled back; they are written down once it is known how the
    act ended.
    """

    written: list[AuditOutcome] = field(default_factory=list)
    undone: list[Deed] = field(default_factory=list)


def record(session: AsyncSession, deed: Deed) -> None:
    """Have the transaction write down this deed as well.

    What the transaction changes is written down without it. A deed with the subject of such a change completes that
    event; any other deed is an event of its own.
    """
    within = session.sync_session.get_nested_transaction()
    session.info.setdefault(DEEDS, []).append((within, deed))


def sealed_text(event: Mapping[str, Any]) -> str:
    """The values of `SEALED` as the one text the hash is over; `changes` is the stored JSON to the letter.

    The database's trigger makes the same text (`jsonb_build_array(...)::text`): a JSON array of texts and nulls.
    """
    values = (event[name] for name in SEALED)
    return json.dumps([_text(value) for value in values], ensure_ascii=False)


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(value)


def seal(previous_hash: bytes, text: str) -> bytes:
    """The hash that ties an event to the one before it."""
    return sha256(previous_hash + text.encode()).digest()


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events; what is None or empty asks for nothing. `until` is exclusive."""

    actions: frozenset[str] = frozenset()
    user_ids: frozenset[UUID] = frozenset()
    api_key_ids: frozenset[UUID] = frozenset()
    subject_type: str | None = None
    subject_id: str | None = None
    outcomes: frozenset[AuditOutcome] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[Any]:
        """The filter as conditions of a query."""
        found: list[Any] = []
        if self.actions:
            found.append(col(AuditEvent.action).in_(self.actions))
        if self.user_ids or self.api_key_ids:
            users = col(AuditEvent.user_id).in_(self.user_ids)
            found.append(or_(users, col(AuditEvent.api_key_id).in_(self.api_key_ids)))
        if self.subject_type is not None:
            found.append(col(AuditEvent.subject_type) == self.subject_type)
        if self.subject_id is not None:
            found.append(col(AuditEvent.subject_id) == self.subject_id)
        if self.outcomes:
            found.append(col(AuditEvent.outcome).in_(self.outcomes))
        if self.since is not None:
            found.append(col(AuditEvent.at) >= self.since)
        if self.until is not None:
            found.append(col(AuditEvent.at) < self.until)
        return found


async def events_of_workspace(
    database: Database, workspace_id: UUID, asked: AuditFilter, window: Window
) -> Page[AuditEvent]:
    """A page of a workspace's events, newest first."""
    statement = select(AuditEvent).where(col(AuditEvent.chain) == workspace_id, *asked.conditions())
    keyset = Keyset[AuditEvent](int, col(AuditEvent.sequence), lambda event: event.sequence)
    return await keyset.page(database, statement, window)


async def events_of_user(database: Database, user_id: UUID, window: Window) -> Page[AuditEvent]:
    """A page of what a user did, in any workspace, and what was done to their account, newest first."""
    about = col(AuditEvent.workspace_id).is_(None) & (col(AuditEvent.subject_type) == "User")
    about &= col(AuditEvent.subject_id) == str(user_id)
    statement = select(AuditEvent).where(or_(col(AuditEvent.user_id) == user_id, about))
    keyset = Keyset[AuditEvent](UUID, col(AuditEvent.id), lambda event: event.id)
    return await keyset.page(database, statement, window)
