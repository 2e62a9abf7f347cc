"""The tables that are no entities, and the indexes of those that are, all on SQLModel's metadata."""

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlmodel import SQLModel

from domain.audit import AuditEvent
from domain.columns import text_enum
from domain.identity import User
from domain.messages import MessageBatchRecord, MessageType, QuarantinedFrame, SequenceGap, Side
from domain.positions import NODES, SEQUENCE_BITS
from domain.secrets import Secret

PARTITION_PREFIX = "messages_p"

metadata = SQLModel.metadata
ENTITIES = (AuditEvent, Secret, User)  # imported so that their tables are known here

messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("workspace_id", Uuid, nullable=False),
    Column("connector_id", Uuid, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("instrument", Text, nullable=False),
    Column("type", text_enum(MessageType), nullable=False),
    Column("price", Numeric),
    Column("quantity", Numeric),
    Column("side", text_enum(Side)),
    Column("sequence", Text),
    Column("event_time", DateTime(timezone=True)),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("data", JSON, nullable=False),
    Column("detail", JSON),
    Column("key", Text),
    Index("messages_instrument_idx", "workspace_id", "instrument", "id"),
    Index("messages_connector_idx", "connector_id", "id"),
    postgresql_partition_by="RANGE (id)",
)

instruments = Table(
    "instruments",
    metadata,
    Column("workspace_id", Uuid, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("exchange", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("last_price", Numeric),
    Column("last_time", DateTime(timezone=True), nullable=False),
    Column("last_message_id", BigInteger, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("node", SmallInteger, primary_key=True, autoincrement=False),
    Column("leased_by", Uuid),
    Column("leased_until", DateTime(timezone=True)),
    Column("last_id", BigInteger, nullable=False, server_default=text("0")),
    Column("dropped_id", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint(f"node >= 0 AND node < {NODES}", name="nodes_node_known"),
)

role_permissions = Table(
    "role_permissions",
    metadata,
    Column("role", String(40), primary_key=True),
    Column("permission", String(40), primary_key=True),
)

audit_chains = Table(
    "audit_chains",
    metadata,
    Column("chain", Uuid, primary_key=True),
    Column("sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("hash", LargeBinary, nullable=False, server_default=text("''")),
    Column("anchor_sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("anchor_hash", LargeBinary, nullable=False, server_default=text("''")),
)

_batches = MessageBatchRecord.__table__.c  # type: ignore[attr-defined]
_frames = QuarantinedFrame.__table__.c  # type: ignore[attr-defined]
_gaps = SequenceGap.__table__.c  # type: ignore[attr-defined]

Index("message_batches_workspace_idx", _batches.workspace_id, _batches.id)
Index("message_batches_connector_idx", _batches.connector_id, _batches.id)
Index(
    "message_batches_idempotency_key",
    _batches.connector_id,
    _batches.idempotency_key,
    unique=True,
    postgresql_where=_batches.idempotency_key.is_not(None),
)
Index(
    "message_batches_node_idx",
    text(f"((id >> {SEQUENCE_BITS}) & {NODES - 1})"),
    _batches.last_id,
)
Index("quarantined_frames_workspace_idx", _frames.workspace_id, _frames.id)
Index("quarantined_frames_connector_idx", _frames.connector_id, _frames.id)
Index("sequence_gaps_workspace_idx", _gaps.workspace_id, _gaps.id)
Index("sequence_gaps_connector_idx", _gaps.connector_id, _gaps.id)
