"""What of the named secrets is about a person: those they made or set, never a value."""

from typing import Any
from uuid import UUID

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.identity import privacy
from domain.secrets.entities import Secret


@privacy.exports("secrets")
async def _secrets(session: AsyncSession, user_id: UUID) -> Any:
    mine = or_(col(Secret.created_by) == user_id, col(Secret.updated_by) == user_id)
    columns = ("id", "workspace_id", "name", "version", "created_at", "updated_at", "last_used_at")
    found = await session.exec(select(Secret).where(mine).order_by(col(Secret.id)))
    return [privacy.facts(secret, *columns) for secret in found]
