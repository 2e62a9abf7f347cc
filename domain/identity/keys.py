"""API keys: how programs act in a workspace."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, LargeBinary, Text
from sqlmodel import Field, SQLModel


class ApiKey(SQLModel, table=True):
    """A program's key to one workspace, for the listed permissions (values of `Permission`) alone."""

    __tablename__ = "api_keys"

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE", index=True)
    name: str = Field(max_length=200)
    prefix: str = Field(max_length=20)
    key_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    permissions: list[str] = Field(sa_type=ARRAY(Text))
    created_by: UUID = Field(foreign_key="users.id")
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    revoked_by: UUID | None = Field(default=None, foreign_key="users.id")
