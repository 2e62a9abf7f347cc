"""Workspaces, who is in them, and what is shared with whom."""

from datetime import datetime
from enum import Enum
from uuid import UUID

from sqlalchemy import DateTime, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from domain.columns import text_enum
from domain.identity.permissions import Role


class Workspace(SQLModel, table=True):
    """The tenant: connectors, messages and all that is built on them belong to one."""

    __tablename__ = "workspaces"

    id: UUID = Field(primary_key=True)
    name: str = Field(max_length=200)
    industry: str | None = Field(default=None, max_length=200)
    location: str | None = Field(default=None, max_length=200)
    time_zone: str = Field(default="UTC", max_length=64)
    currency: str = Field(default="USD", max_length=3)
    personal: bool = False
    second_factor_required: bool = False
    version: int = 1
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))


class Member(SQLModel, table=True):
    """A user in a workspace."""

    __tablename__ = "members"

    workspace_id: UUID = Field(primary_key=True, foreign_key="workspaces.id", ondelete="CASCADE")
    user_id: UUID = Field(primary_key=True, foreign_key="users.id", ondelete="CASCADE", index=True)
    role: Role = Field(sa_type=text_enum(Role))
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class Invitation(SQLModel, table=True):
    """An offer of membership, sent by mail; open while `accepted_at` and `revoked_at` are None."""

    __tablename__ = "invitations"

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE", index=True)
    email: str = Field(max_length=254)
    role: Role = Field(sa_type=text_enum(Role))
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    invited_by: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    accepted_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    accepted_by: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class Group(SQLModel, table=True):
    """Members of a workspace with whom resources are shared together."""

    __tablename__ = "groups"
    __table_args__ = (UniqueConstraint("workspace_id", "name", name="groups_name_key"),)

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE")
    name: str = Field(max_length=200)
    description: str = Field(default="", max_length=2000)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))


class GroupMember(SQLModel, table=True):
    """A member of a group."""

    __tablename__ = "group_members"

    group_id: UUID = Field(primary_key=True, foreign_key="groups.id", ondelete="CASCADE")
    user_id: UUID = Field(primary_key=True, foreign_key="users.id", ondelete="CASCADE", index=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class ResourceKind(Enum):
    """What can be shared with a group."""

    CONNECTOR = "connector"
    SECRET = "secret"  # noqa: S105 - a kind of resource


class Access(Enum):
    """What a share allows; WRITE includes READ."""

    READ = "read"
    WRITE = "write"


class ResourceShare(SQLModel, table=True):
    """What a group's members may do with one resource, beyond what their role allows."""

    __tablename__ = "resource_shares"
    __table_args__ = (
        UniqueConstraint("group_id", "kind", "resource_id", name="resource_shares_resource_key"),
    )

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE", index=True)
    group_id: UUID = Field(foreign_key="groups.id", ondelete="CASCADE")
    kind: ResourceKind = Field(sa_type=text_enum(ResourceKind))
    resource_id: UUID = Field(index=True)
    access: Access = Field(sa_type=text_enum(Access))
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
