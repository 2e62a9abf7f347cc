"""All that is kept about a person, gathered for them: each context adds its part."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import func
from sqlmodel import SQLModel, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.audit import AuditEvent
from domain.errors import InvalidInput
from domain.identity.accounts import Credential, ExternalIdentity, SessionRecord, User
from domain.identity.keys import ApiKey
from domain.identity.workspaces import Group, GroupMember, Invitation, Member, Workspace
from domain.ports import Database

Export = Callable[[AsyncSession, UUID], Awaitable[Any]]
"""Gathers what a context keeps about a user, as JSON has it; never a secret, a hash or a token."""

Erasure = Callable[[AsyncSession, UUID], Awaitable[None]]
"""Deletes what a context keeps about a user beside their workspaces."""

X = TypeVar("X", bound=Export)
E = TypeVar("E", bound=Erasure)

EVENTS_EXPORTED: Final = 10_000
"""How many events of the audit an export holds: the newest."""

_of_accounts: Final[dict[str, Export]] = {}
_of_viewer: Final[dict[str, Export]] = {}
_erasures: Final[list[Erasure]] = []


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What is kept about a user, by part."""

    generated_at: datetime
    data: dict[str, Any]


def exports(name: str, *, of_accounts: bool = False) -> Callable[[X], X]:
    """Add a part to every export; it reads as the viewer, or as the service that knows the tables of identity."""

    def add(part: X) -> X:
        (_of_accounts if of_accounts else _of_viewer)[name] = part
        return part

    return add


def erases(part: E) -> E:
    """Add what a context deletes of a user whose account ends; workspaces take along what is in them."""
    _erasures.append(part)
    return part


def erasures() -> Iterable[Erasure]:
    """What deletes a user's data, in every context."""
    return tuple(_erasures)


async def export(
    accounts: Database,
    own: Database,
    user_id: UUID,
    now: datetime,
    parts: Sequence[str] | None = None,
) -> PersonalData:
    """Everything about a user, or the named parts of it, gathered now; raises InvalidInput for no part's name."""
    known = {*_of_accounts, *_of_viewer}
    for at, name in enumerate(parts or ()):
        if name not in known:
            raise InvalidInput(field=f"parts.{at}", reason=f"is none of {', '.join(sorted(known))}")
    data = {}
    for database, registered in ((accounts, _of_accounts), (own, _of_viewer)):
        async with database.read() as session:
            for name, part in registered.items():
                if parts is None or name in parts:
                    data[name] = await part(session, user_id)
    return PersonalData(now, data)


def facts(thing: SQLModel, *columns: str) -> dict[str, Any]:
    """Columns of an entity as JSON has them, named as clients name them."""
    return {_client_name(name): _plain(getattr(thing, name)) for name in columns}


@exports("account", of_accounts=True)
async def _account(session: AsyncSession, user_id: UUID) -> Any:
    user = await session.get_one(User, user_id)
    credential = await session.get(Credential, user_id)
    return {
        **facts(
            user, "id", "email", "name", "time_zone", "status", "email_verified_at",
            "second_factor", "deletion_due_at", "created_at", "updated_at",
        ),
        "passwordSet": credential is not None and credential.password_hash is not None,
        "passwordChangedAt": _plain(credential and credential.password_changed_at),
    }  # fmt: skip


@exports("identities", of_accounts=True)
async def _identities(session: AsyncSession, user_id: UUID) -> Any:
    found = await session.exec(select(ExternalIdentity).where(ExternalIdentity.user_id == user_id))
    columns = ("provider", "issuer", "subject", "created_at", "last_used_at")
    return [facts(item, *columns) for item in found]


@exports("sessions", of_accounts=True)
async def _sessions(session: AsyncSession, user_id: UUID) -> Any:
    found = await session.exec(select(SessionRecord).where(SessionRecord.user_id == user_id))
    columns = (
        "id", "method", "device", "address", "created_at", "last_used_at", "expires_at",
        "ended_at", "end_reason",
    )  # fmt: skip
    return [facts(item, *columns) for item in found]


@exports("workspaces", of_accounts=True)
async def _workspaces(session: AsyncSession, user_id: UUID) -> Any:
    statement = select(Member, Workspace).join(Workspace, col(Workspace.id) == Member.workspace_id)
    found = await session.exec(statement.where(Member.user_id == user_id))
    own = ("id", "name", "personal", "industry", "location", "time_zone", "currency", "created_at")
    return [
        {
            **facts(workspace, *(own if workspace.personal else own[:3])),
            "role": member.role.value,
            "memberSince": _plain(member.created_at),
        }
        for member, workspace in found
    ]


@exports("groups", of_accounts=True)
async def _groups(session: AsyncSession, user_id: UUID) -> Any:
    statement = select(Group, GroupMember).join(GroupMember, col(Group.id) == GroupMember.group_id)
    found = await session.exec(statement.where(GroupMember.user_id == user_id))
    return [
        {**facts(group, "id", "name", "workspace_id"), "memberSince": _plain(member.created_at)}
        for group, member in found
    ]


@exports("invitations", of_accounts=True)
async def _invitations(session: AsyncSession, user_id: UUID) -> Any:
    email = select(func.lower(User.email)).where(User.id == user_id).scalar_subquery()
    mine = or_(
        func.lower(Invitation.email) == email,
        Invitation.invited_by == user_id,
        Invitation.accepted_by == user_id,
    )
    user = await session.get_one(User, user_id)
    own = ("id", "workspace_id", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    return [
        {
            **facts(item, *own),
            "byMe": item.invited_by == user_id,
            # Another's address is theirs, also in a letter that this user sent.
            "email": item.email if item.email.lower() == user.email.lower() else None,
        }
        for item in await session.exec(select(Invitation).where(mine))
    ]


@exports("apiKeys", of_accounts=True)
async def _api_keys(session: AsyncSession, user_id: UUID) -> Any:
    found = await session.exec(select(ApiKey).where(ApiKey.created_by == user_id))
    columns = (
        "id", "workspace_id", "name", "prefix", "permissions", "created_at", "expires_at",
        "last_used_at", "revoked_at",
    )  # fmt: skip
    return [facts(item, *columns) for item in found]


@exports("events", of_accounts=True)
async def _events(session: AsyncSession, user_id: UUID) -> Any:
    about = (AuditEvent.subject_type == "User") & (AuditEvent.subject_id == str(user_id))
    statement = select(AuditEvent).where(or_(AuditEvent.user_id == user_id, about))
    statement = statement.order_by(col(AuditEvent.id).desc()).limit(EVENTS_EXPORTED)
    columns = (
        "id", "at", "workspace_id", "action", "outcome", "code", "subject_type", "subject_id",
        "changes", "address", "agent", "request_id",
    )  # fmt: skip
    return [facts(item, *columns) for item in await session.exec(statement)]


def _client_name(column: str) -> str:
    head, *tail = column.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _plain(value: Any) -> Any:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
    return value
