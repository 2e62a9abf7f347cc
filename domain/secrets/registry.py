"""Setting, deleting and finding secrets, and who may refer to them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import StaleVersion
from domain.identity import (
    Access,
    Forbidden,
    Permission,
    ResourceKind,
    ResourceShare,
    Viewer,
    access_to,
    forget_shares,
)
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Clock, Database, Ids, Vault
from domain.secrets.entities import Secret
from domain.secrets.errors import SecretInUse, SecretLimitReached, SecretNotFound
from domain.secrets.uses import users_of
from domain.secrets.values import check_name, check_value, masked, sealed

SECRET_LIMIT = 1000
NAMED_USERS = 100


@dataclass(frozen=True, slots=True)
class Safe:
    """What keeping secrets takes from outside."""

    vault: Vault
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class DeletedSecret:
    """What was deleted."""

    secret_id: UUID
    name: str


async def set_secret(
    session: AsyncSession,
    safe: Safe,
    viewer: Viewer,
    name: str,
    value: str,
    expected_version: int | None = None,
) -> Secret:
    """Create a secret, or give the one of this name another value.

    Raises InvalidInput, StaleVersion (an `expected_version` of 0 asks for a new one), SecretLimitReached; Forbidden
    unless the viewer manages secrets or this one is shared with them for writing.
    """
    check_name("name", name)
    check_value("value", value)
    await hold(session, viewer.workspace_id, [name], alone=True)
    secret = await _named(session, viewer, name)
    if not viewer.may(Permission.MANAGE_SECRETS) and not (
        secret is not None and await _access(session, viewer, secret) is Access.WRITE
    ):
        raise Forbidden(needed=Permission.MANAGE_SECRETS.value)
    version = 0 if secret is None else secret.version
    if expected_version is not None and expected_version != version:
        raise StaleVersion(expected=expected_version, actual=version)
    if secret is None:
        secret = await _new(session, safe, viewer, name, value)
        session.add(secret)
    else:
        secret.sealed, secret.masked = sealed(safe.vault, secret.id, value), masked(value)
        secret.version += 1
        secret.updated_by, secret.updated_at = viewer.user_id, safe.clock.now()
    await session.flush()
    return secret


async def delete_secret(
    session: AsyncSession, viewer: Viewer, name: str, force: bool = False
) -> DeletedSecret:
    """Forget a secret; raises SecretNotFound, and SecretInUse unless forced. For those who manage secrets."""
    if not viewer.may(Permission.MANAGE_SECRETS):
        raise Forbidden(needed=Permission.MANAGE_SECRETS.value)
    if not force and not viewer.may(Permission.READ_DATA):
        raise Forbidden(needed=Permission.READ_DATA.value)  # else who uses it would not be seen
    await hold(session, viewer.workspace_id, [name], alone=True)
    secret = await _named(session, viewer, name)
    if secret is None:
        raise SecretNotFound(name=name)
    users = [] if force else await users_of(session, viewer.workspace_id, name)
    if users:
        raise SecretInUse(name=name, used_by=users[:NAMED_USERS], count=len(users))
    if viewer.may(Permission.MANAGE_GROUPS) or viewer.may(Permission.MANAGE_CONNECTORS):
        # Programs that may do neither leave shares behind, of an id that never comes again.
        await forget_shares(session, viewer.workspace_id, ResourceKind.SECRET, secret.id)
    await session.delete(secret)
    await session.flush()
    return DeletedSecret(secret_id=secret.id, name=secret.name)


async def usable(
    session: AsyncSession, viewer: Viewer, names: Collection[str]
) -> Mapping[str, Secret]:
    """Those of the named secrets that exist, for a viewer who refers to all of them.

    Raises Forbidden when the viewer may use neither any secret nor each of these by a share, whether they exist or not.
    """
    found = await session.exec(
        select(Secret).where(
            col(Secret.workspace_id) == viewer.workspace_id, col(Secret.name).in_(names)
        )
    )
    secrets = {secret.name: secret for secret in found}
    if not viewer.may(Permission.USE_SECRETS):
        for name in names:
            if name not in secrets or await _access(session, viewer, secrets[name]) is None:
                raise Forbidden(needed=Permission.USE_SECRETS.value)
    return secrets


async def hold(
    session: AsyncSession, workspace_id: UUID, names: Collection[str], *, alone: bool = False
) -> None:
    """Until the transaction ends, keep these names from being set or deleted (`alone`: from being referred to as well).

    By locks beside the rows: who may refer to a secret need not be allowed to change it, which locking its row takes.
    """
    lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
    for name in sorted(set(names)):
        key = f"penstock secret {workspace_id} {name}"
        await session.scalar(select(lock(func.hashtextextended(key, 0))))


async def secrets(database: Database, viewer: Viewer, window: Window) -> Page[Secret]:
    """A page of the secrets that the viewer may use or manage, oldest first; raises InvalidInput for a bad cursor."""
    statement = select(Secret).where(_visible(viewer))
    keyset = Keyset[Secret](UUID, col(Secret.id), lambda item: item.id, newest_first=False)
    return await keyset.page(database, statement, window)


async def by_id(session: AsyncSession, viewer: Viewer, id: UUID) -> Secret | None:
    """The secret with this id, if the viewer may use or manage it."""
    return await session.scalar(select(Secret).where(col(Secret.id) == id, _visible(viewer)))


async def _named(session: AsyncSession, viewer: Viewer, name: str) -> Secret | None:
    return await session.scalar(
        select(Secret).where(
            col(Secret.workspace_id) == viewer.workspace_id, col(Secret.name) == name
        )
    )


async def _new(session: AsyncSession, safe: Safe, viewer: Viewer, name: str, value: str) -> Secret:
    # One at a time, so that the limit holds; no name begins with a digit, so this is nobody's own lock.
    await hold(session, viewer.workspace_id, ["0"], alone=True)
    owned = select(func.count()).where(col(Secret.workspace_id) == viewer.workspace_id)
    if (await session.scalar(owned) or 0) >= SECRET_LIMIT:
        raise SecretLimitReached(limit=SECRET_LIMIT)
    id, now = safe.ids.new(), safe.clock.now()
    return Secret(
        id=id,
        workspace_id=viewer.workspace_id,
        name=name,
        sealed=sealed(safe.vault, id, value),
        masked=masked(value),
        created_by=viewer.user_id,
        updated_by=viewer.user_id,
        created_at=now,
        updated_at=now,
    )


async def _access(session: AsyncSession, viewer: Viewer, secret: Secret) -> Access | None:
    return await access_to(session, viewer, ResourceKind.SECRET, secret.id)


def _visible(viewer: Viewer) -> ColumnElement[bool]:
    mine = col(Secret.workspace_id) == viewer.workspace_id
    if viewer.may(Permission.USE_SECRETS) or viewer.may(Permission.MANAGE_SECRETS):
        return mine
    shared = select(col(ResourceShare.resource_id)).where(
        col(ResourceShare.workspace_id) == viewer.workspace_id,
        col(ResourceShare.kind) == ResourceKind.SECRET,
        col(ResourceShare.group_id).in_(viewer.groups),
    )
    return mine & col(Secret.id).in_(shared)
