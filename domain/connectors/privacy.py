"""What of the connectors is a person's own: those of their personal workspace."""

from typing import Any
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.connectors.entities import Connector
from domain.identity import Member, Role, Workspace, privacy


@privacy.exports("connectors")
async def _connectors(session: AsyncSession, user_id: UUID) -> Any:
    personal = (
        select(col(Workspace.id))
        .join(Member, col(Member.workspace_id) == col(Workspace.id))
        .where(col(Member.user_id) == user_id, col(Member.role) == Role.OWNER)
        .where(col(Workspace.personal))
    )
    columns = (
        "id", "name", "url", "protocol", "venue", "enabled", "method", "body",
        "polling_interval_ms", "subscribe_frames", "stale_after_ms", "mapping", "auth_type",
        "secret_fields", "secret_references", "created_at", "updated_at",
    )  # fmt: skip
    found = await session.exec(select(Connector).where(col(Connector.workspace_id).in_(personal)))
    return [privacy.facts(connector, *columns) for connector in found]
