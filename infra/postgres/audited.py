"""How the audit sees each entity: whose event its change is, what of it is secret, personal, or mere bookkeeping."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from math import isfinite
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, LargeBinary
from sqlmodel import SQLModel

from domain.audit import MASK, WITHHELD, AuditEvent
from domain.connectors import Connector, ConnectorStatus
from domain.identity import (
    ApiKey,
    Credential,
    ExternalIdentity,
    Group,
    GroupMember,
    Invitation,
    Member,
    OneTimeToken,
    RecoveryCode,
    RefreshToken,
    ResourceShare,
    SessionRecord,
    SignInAttempts,
    SigningKey,
    User,
    Workspace,
)
from domain.messages import MessageBatchRecord, QuarantinedFrame, SequenceGap
from domain.secrets import Secret

TEXT_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Subject:
    """The type a client knows it by, the column with its key, and columns that are a person's, otherwise named, or untold."""

    type: str
    key: str = "id"
    personal: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()
    workspace: str | None = "workspace_id"


SUBJECTS: Final[Mapping[type[SQLModel], Subject]] = {
    User: Subject("User", personal=frozenset({"email", "name"})),
    Credential: Subject("User", "user_id"),
    ExternalIdentity: Subject("User", "user_id", personal=frozenset({"subject"})),
    SessionRecord: Subject("DeviceSession", untold=frozenset({"device", "address", "expires_at"})),
    SigningKey: Subject("SigningKey"),
    Workspace: Subject("Workspace", workspace="id"),
    Member: Subject("Member", "user_id"),
    Invitation: Subject("Invitation", personal=frozenset({"email"})),
    Group: Subject("Group"),
    GroupMember: Subject("Group", "group_id", names={"user_id": "members"}),
    ResourceShare: Subject("ResourceShare"),
    ApiKey: Subject("ApiKey"),
    Secret: Subject("Secret"),
    Connector: Subject("Connector"),
}

BOOKKEEPING: Final[frozenset[type[SQLModel]]] = frozenset(
    {
        AuditEvent,
        ConnectorStatus,
        MessageBatchRecord,
        OneTimeToken,
        QuarantinedFrame,
        RecoveryCode,
        RefreshToken,
        SequenceGap,
        SignInAttempts,
    }
)
"""Entities whose changes are no events: the deed that changed them is told by another, or they are data."""

UNTOLD: Final = frozenset(
    {"created_at", "updated_at", "last_used_at", "version", "totp_last_step", "workspace_id"}
)
"""Columns whose change alone is no event."""

_SECRET: Final = re.compile(r"(^|_)(hash|sealed|secret|password|token)$")


def subject_of(kind: type[SQLModel]) -> Subject | None:
    """How the audit sees an entity; None for bookkeeping. One that nobody listed is told under its class's name."""
    if kind in BOOKKEEPING:
        return None
    return SUBJECTS.get(kind) or Subject(kind.__name__)


def is_told(subject: Subject, column: Column[Any]) -> bool:
    """Whether a change of this column is worth an event; what says whose row it is goes without saying."""
    return column.name not in UNTOLD | subject.untold | {subject.key}


def is_secret(column: Column[Any]) -> bool:
    """Whether a column's values never leave it: anything binary, and what is named like a secret."""
    return isinstance(column.type, LargeBinary) or _SECRET.search(column.name) is not None


def shown(subject: Subject, column: Column[Any], value: object) -> object:
    """A column's value as an event may hold it for ever."""
    if value is None:
        return None
    if is_secret(column):
        return MASK
    if column.name in subject.personal:
        return WITHHELD
    return plain(value)


def plain(value: object) -> object:
    """A value as JSON has it; long text is cut."""
    match value:
        case float() if not isfinite(value):
            return str(value)
        case None | bool() | int() | float():
            return value
        case str():
            return value if len(value) <= TEXT_LIMIT else value[:TEXT_LIMIT] + "…"
        case UUID():
            return str(value)
        case Enum():
            return plain(value.value)
        case datetime():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return MASK
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
    return plain(str(value))


def client_name(subject: Subject, column: str) -> str:
    """A column as clients name it."""
    if column in subject.names:
        return subject.names[column]
    head, *tail = column.split("_")
    return head + "".join(part.capitalize() for part in tail)
