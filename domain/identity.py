"""Who asks, and for which tenant."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime
from sqlmodel import Field, SQLModel

HOME_WORKSPACE_ID = UUID("01900000-0000-7000-8000-000000000001")


class Workspace(SQLModel, table=True):
    """The tenant: connectors, messages and all that is built on them belong to one."""

    __tablename__ = "workspaces"

    id: UUID = Field(primary_key=True)
    name: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class Viewer:
    """The workspace a request acts in, as its owner."""

    workspace_id: UUID
