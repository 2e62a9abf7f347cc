"""Signing in to a running service without its help: as an operator on its machine could."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.identity import Role, SessionRecord, SignInMethod, User
from infra.identity import issuer
from infra.keyring import vault_of
from infra.postgres.database import Database
from infra.postgres.embedded import running_url
from infra.postgres.roles import ACCOUNTS
from infra.security.signing_keys import KeyPairs
from infra.security.tokens import AccessTokens
from infra.settings import Settings, load_settings
from infra.system import RandomIds, SystemClock
from tests import factories

DAY = timedelta(days=1)
DEMO = "demo@penstock.local"


async def signed_in(
    data_dir: Path,
    given: Mapping[str, Any],
    user_id: UUID | None = None,
    lifetime: timedelta = DAY,
) -> str:
    """An access token for a new session of a user: the one given, the demo's, the first, or else a new one."""
    settings = load_settings(data_dir=data_dir, **given)
    url = settings.database_url
    place = url.get_secret_value() if url is not None else running_url(data_dir)
    assert place is not None
    async with Database(place, pool_size=1, role=ACCOUNTS) as accounts:
        async with accounts.write() as session:
            who = user_id or await _somebody(session)
            record = session_of(who)
            session.add(record)
        return await token(settings, accounts, who, record.id, lifetime)


def session_of(user_id: UUID) -> SessionRecord:
    """A session that goes on."""
    now = datetime.now(UTC)
    return SessionRecord(
        id=factories.new_id(),
        user_id=user_id,
        method=SignInMethod.OPERATOR,
        created_at=now,
        last_used_at=now,
        expires_at=now + DAY,
    )


async def token(
    settings: Settings,
    accounts: Database,
    user_id: UUID,
    session_id: UUID,
    lifetime: timedelta = DAY,
) -> str:
    """An access token as the service itself would issue it."""
    clock = SystemClock()
    tokens = AccessTokens(
        KeyPairs(accounts, vault_of(settings), clock, lifetime),
        clock,
        RandomIds(),
        issuer=issuer(settings),
        audience=settings.token_audience,
        lifetime=lifetime,
    )
    return (await tokens.issue(user_id, session_id)).token


async def _somebody(session: AsyncSession) -> UUID:
    ids = select(col(User.id)).order_by(func.lower(col(User.email)) != DEMO, col(User.id)).limit(1)
    found = (await session.exec(ids)).first()
    if found is not None:
        return found
    user, workspace = factories.user(), factories.workspace(personal=True)
    session.add_all([user, workspace])
    await session.flush()
    session.add(factories.member(workspace.id, user.id, Role.OWNER))
    return user.id
