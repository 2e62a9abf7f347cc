"""A source's configuration and how it is doing."""

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, DateTime, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from domain.columns import text_enum


class ConnectorProtocol(Enum):
    """How a source is read; told by the URL's scheme."""

    REST = "rest"
    WEBSOCKET = "websocket"


class Venue(Enum):
    """Whose formats a source speaks; told by the URL's host unless the connector says."""

    BINANCE = "binance"
    OKX = "okx"
    COINBASE = "coinbase"
    CUSTOM = "custom"


class HttpMethod(Enum):
    """Method of a REST poll."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"


class AuthType(Enum):
    """How requests to a source are authenticated."""

    NONE = "none"
    API_KEY = "api_key"
    BEARER = "bearer"
    HMAC = "hmac"
    BASIC = "basic"


class ConnectorState(Enum):
    """Where a connector is in its life."""

    INACTIVE = "inactive"
    STARTING = "starting"
    RUNNING = "running"
    STALE = "stale"
    RECONNECTING = "reconnecting"
    STOPPED = "stopped"
    ERROR = "error"


class Connector(SQLModel, table=True):
    """A source's configuration. `sealed` holds every secret; `secret_fields` names what is set.

    `secret_references` says which of those are named secrets of the workspace: field to name.
    """

    __tablename__ = "connectors"
    __table_args__ = (UniqueConstraint("workspace_id", "name", name="connectors_name_key"),)

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE", index=True)
    name: str = Field(max_length=200)
    url: str = Field(max_length=2000)
    protocol: ConnectorProtocol = Field(sa_type=text_enum(ConnectorProtocol))
    venue: Venue = Field(sa_type=text_enum(Venue))
    enabled: bool = False
    method: HttpMethod = Field(default=HttpMethod.GET, sa_type=text_enum(HttpMethod))
    body: str | None = None
    polling_interval_ms: int | None = None
    subscribe_frames: list[str] = Field(default_factory=list, sa_type=JSON)
    stale_after_ms: int = 30_000
    mapping: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    auth_type: AuthType = Field(default=AuthType.NONE, sa_type=text_enum(AuthType))
    signing: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    secret_fields: list[str] = Field(default_factory=list, sa_type=JSON)
    secret_references: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    version: int = 1
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))


class ConnectorStatus(SQLModel, table=True):
    """How a connector is doing, as its process last reported; also the lease that makes it one process."""

    __tablename__ = "connector_status"

    connector_id: UUID = Field(primary_key=True, foreign_key="connectors.id", ondelete="CASCADE")
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE")
    state: ConnectorState = Field(
        default=ConnectorState.INACTIVE, sa_type=text_enum(ConnectorState)
    )
    since: datetime = Field(sa_type=DateTime(timezone=True))
    last_message_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_error: str | None = None
    last_error_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    message_count: int = Field(default=0, sa_type=BigInteger)
    quarantined_count: int = Field(default=0, sa_type=BigInteger)
    duplicate_count: int = Field(default=0, sa_type=BigInteger)
    gap_count: int = Field(default=0, sa_type=BigInteger)
    shed_count: int = Field(default=0, sa_type=BigInteger)
    reconnect_count: int = 0
    message_rate: float = 0.0
    delay_p50_ms: float | None = None
    delay_p95_ms: float | None = None
    leased_by: UUID | None = None
    lease_epoch: int = 0
    leased_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
