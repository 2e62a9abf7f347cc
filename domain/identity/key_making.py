"""Making, listing and revoking API keys."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import InvalidInput
from domain.identity.keys import ApiKey
from domain.identity.members import acting
from domain.identity.permissions import PERMISSIONS, Permission
from domain.identity.refusals import ApiKeyLimitReached, ApiKeyNotFound
from domain.identity.tokens import token_hash
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Database
from domain.texts import check_text

KEY_LIMIT = 100
"""Keys of a workspace that are not revoked."""

NEVER: Final = frozenset(
    {Permission.OWN_WORKSPACE, Permission.MANAGE_MEMBERS, Permission.MANAGE_API_KEYS}
)
"""What no key may do: a program that runs away must not be able to keep itself alive or let others in."""

_PREFIX_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A new key with its text, which is kept nowhere."""

    api_key: ApiKey
    key: str = field(repr=False)


def key_text(secret: str) -> str:
    """A key as its program gives it, from a secret of its own; the prefix is for telling keys apart."""
    return f"penstock_{token_hash(secret).hex()[:_PREFIX_LENGTH]}_{secret}"


def draft_key(
    id: UUID,
    text: str,
    workspace_id: UUID,
    user_id: UUID,
    name: str,
    permissions: Iterable[Permission],
    expires_at: datetime | None,
    now: datetime,
) -> ApiKey:
    """A checked key that is not stored; raises InvalidInput."""
    name, asked = name.strip(), frozenset(permissions)
    check_text("name", name, 1, 200)
    if Permission.READ_DATA not in asked:
        raise InvalidInput(field="permissions", reason="must include READ_DATA")
    for permission in sorted(asked & NEVER, key=lambda one: one.value):
        raise InvalidInput(field="permissions", reason=f"cannot be {permission.name} for a key")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput(field="expiresAt", reason="must be in the future")
    return ApiKey(
        id=id,
        workspace_id=workspace_id,
        name=name,
        prefix=text.split("_", 2)[1],
        key_hash=token_hash(text),
        created_by=user_id,
        permissions=sorted(permission.value for permission in asked),
        created_at=now,
        expires_at=expires_at,
    )


async def create_key(session: AsyncSession, key: ApiKey) -> ApiKey:
    """Store a drafted key, its workspace held; raises InvalidInput for what its maker may not, ApiKeyLimitReached."""
    role = await acting(session, key.workspace_id, key.created_by, Permission.MANAGE_API_KEYS)
    beyond = [value for value in key.permissions if Permission(value) not in PERMISSIONS[role]]
    if beyond:
        raise InvalidInput(
            field="permissions", reason=f"cannot be {Permission(beyond[0]).name}: you may not"
        )
    valid = select(func.count()).where(
        col(ApiKey.workspace_id) == key.workspace_id, col(ApiKey.revoked_at).is_(None)
    )
    if (await session.scalar(valid) or 0) >= KEY_LIMIT:
        raise ApiKeyLimitReached(limit=KEY_LIMIT)
    session.add(key)
    await session.flush()
    return key


async def revoke_key(
    session: AsyncSession, workspace_id: UUID, id: UUID, user_id: UUID | None, now: datetime
) -> ApiKey:
    """End a key for good; one that is revoked already stays as it is. Raises ApiKeyNotFound."""
    key = await session.scalar(
        select(ApiKey)
        .where(col(ApiKey.id) == id, col(ApiKey.workspace_id) == workspace_id)
        .with_for_update()
    )
    if key is None:
        raise ApiKeyNotFound(id=str(id))
    if key.revoked_at is None:
        key.revoked_at, key.revoked_by = now, user_id
        await session.flush()
    return key


async def key_by_id(session: AsyncSession, id: UUID) -> ApiKey | None:
    """The key with this id."""
    return await session.get(ApiKey, id)


async def keys_of(database: Database, workspace_id: UUID, window: Window) -> Page[ApiKey]:
    """A page of a workspace's keys, newest first, the revoked ones too."""
    statement = select(ApiKey).where(col(ApiKey.workspace_id) == workspace_id)
    return await Keyset[ApiKey](UUID, col(ApiKey.id), lambda item: item.id).page(
        database, statement, window
    )
