"""A secret at rest."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel


class Secret(SQLModel, table=True):
    """A named value, sealed for this row alone; `masked` is all that anybody is shown of it."""

    __tablename__ = "secrets"
    __table_args__ = (UniqueConstraint("workspace_id", "name", name="secrets_name_key"),)

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE")
    name: str = Field(max_length=100)
    sealed: bytes = Field(sa_type=LargeBinary)
    masked: str = Field(max_length=40)
    version: int = 1
    created_by: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    updated_by: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    last_used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
