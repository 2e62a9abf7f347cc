"""Workspaces, connectors, and the message stream."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

HOME_WORKSPACE_ID = UUID("01900000-0000-7000-8000-000000000001")
MESSAGE_TYPES = "type IN ('trade', 'ticker', 'quote', 'book', 'candle', 'other')"


def upgrade() -> None:
    workspaces = op.create_table(
        "workspaces",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        _time("created_at", nullable=False),
    )
    op.bulk_insert(
        workspaces, [{"id": HOME_WORKSPACE_ID, "name": "Home", "created_at": datetime.now(UTC)}]
    )
    _create_connectors()
    _create_connector_status()
    _create_messages()
    _create_message_batches()
    _create_quarantined_frames()
    _create_sequence_gaps()
    _create_instruments()
    _create_nodes()


def downgrade() -> None:
    for table in (
        "nodes",
        "instruments",
        "sequence_gaps",
        "quarantined_frames",
        "message_batches",
        "messages",
        "connector_status",
        "connectors",
        "workspaces",
    ):
        op.drop_table(table)


def _create_connectors() -> None:
    op.create_table(
        "connectors",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _workspace(),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("protocol", sa.String(40), nullable=False),
        sa.Column("venue", sa.String(40), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("method", sa.String(40), nullable=False),
        sa.Column("body", sa.String()),
        sa.Column("polling_interval_ms", sa.Integer()),
        sa.Column("subscribe_frames", sa.JSON(), nullable=False),
        sa.Column("stale_after_ms", sa.Integer(), nullable=False),
        sa.Column("mapping", sa.JSON()),
        sa.Column("auth_type", sa.String(40), nullable=False),
        sa.Column("signing", sa.JSON()),
        sa.Column("secret_fields", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("version", sa.Integer(), nullable=False),
        _time("created_at", nullable=False),
        _time("updated_at", nullable=False),
        sa.UniqueConstraint("workspace_id", "name", name="connectors_name_key"),
        sa.CheckConstraint("protocol IN ('rest', 'websocket')", name="connector_protocol_known"),
        sa.CheckConstraint("venue IN ('binance', 'okx', 'coinbase', 'custom')", name="venue_known"),
        sa.CheckConstraint("method IN ('GET', 'POST', 'PUT')", name="http_method_known"),
        sa.CheckConstraint(
            "auth_type IN ('none', 'api_key', 'bearer', 'hmac', 'basic')", name="auth_type_known"
        ),
    )
    op.create_index("ix_connectors_workspace_id", "connectors", ["workspace_id"])


def _create_connector_status() -> None:
    op.create_table(
        "connector_status",
        sa.Column(
            "connector_id",
            sa.Uuid(),
            sa.ForeignKey("connectors.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        _workspace(),
        sa.Column("state", sa.String(40), nullable=False),
        _time("since", nullable=False),
        _time("last_message_at"),
        sa.Column("last_error", sa.String()),
        _time("last_error_at"),
        sa.Column("message_count", sa.BigInteger(), nullable=False),
        sa.Column("quarantined_count", sa.BigInteger(), nullable=False),
        sa.Column("duplicate_count", sa.BigInteger(), nullable=False),
        sa.Column("gap_count", sa.BigInteger(), nullable=False),
        sa.Column("shed_count", sa.BigInteger(), nullable=False),
        sa.Column("reconnect_count", sa.Integer(), nullable=False),
        sa.Column("message_rate", sa.Float(), nullable=False),
        sa.Column("delay_p50_ms", sa.Float()),
        sa.Column("delay_p95_ms", sa.Float()),
        sa.Column("leased_by", sa.Uuid()),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        _time("leased_until"),
        sa.CheckConstraint(
            "state IN ('inactive', 'starting', 'running', 'stale', 'reconnecting', 'stopped', 'error')",
            name="connector_state_known",
        ),
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("connector_id", sa.Uuid(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("price", sa.Numeric()),
        sa.Column("quantity", sa.Numeric()),
        sa.Column("side", sa.String(40)),
        sa.Column("sequence", sa.Text()),
        _time("event_time"),
        _time("received_at", nullable=False),
        sa.Column("data", postgresql.JSON(), nullable=False),
        sa.Column("detail", postgresql.JSON()),
        sa.Column("key", sa.Text()),
        sa.CheckConstraint(MESSAGE_TYPES, name="message_type_known"),
        sa.CheckConstraint("side IN ('buy', 'sell')", name="side_known"),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("messages_instrument_idx", "messages", ["workspace_id", "instrument", "id"])
    op.create_index("messages_connector_idx", "messages", ["connector_id", "id"])


def _create_message_batches() -> None:
    op.create_table(
        "message_batches",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        _workspace(),
        sa.Column("connector_id", sa.Uuid(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        _time("first_received_at", nullable=False),
        _time("last_received_at", nullable=False),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("digest", sa.LargeBinary()),
    )
    op.create_index("message_batches_workspace_idx", "message_batches", ["workspace_id", "id"])
    op.create_index("message_batches_connector_idx", "message_batches", ["connector_id", "id"])
    op.create_index(
        "message_batches_idempotency_key",
        "message_batches",
        ["connector_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "message_batches_node_idx",
        "message_batches",
        [sa.text("((id >> 12) & 1023)"), "last_id"],
    )


def _create_quarantined_frames() -> None:
    op.create_table(
        "quarantined_frames",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _workspace(),
        sa.Column("connector_id", sa.Uuid(), nullable=False),
        _time("received_at", nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("explanation", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.Column("frame_bytes", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        _time("replayed_at"),
        sa.CheckConstraint(
            "reason IN ('malformed', 'unexpected', 'invalid_value', 'too_large')",
            name="quarantine_reason_known",
        ),
        sa.CheckConstraint("state IN ('held', 'replayed')", name="quarantine_state_known"),
    )
    op.create_index(
        "quarantined_frames_workspace_idx", "quarantined_frames", ["workspace_id", "id"]
    )
    op.create_index(
        "quarantined_frames_connector_idx", "quarantined_frames", ["connector_id", "id"]
    )


def _create_sequence_gaps() -> None:
    op.create_table(
        "sequence_gaps",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _workspace(),
        sa.Column("connector_id", sa.Uuid(), nullable=False),
        sa.Column("instrument", sa.String(), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("after_sequence", sa.BigInteger(), nullable=False),
        sa.Column("before_sequence", sa.BigInteger(), nullable=False),
        sa.Column("missed", sa.BigInteger(), nullable=False),
        _time("noticed_at", nullable=False),
        sa.CheckConstraint(MESSAGE_TYPES, name="message_type_known"),
    )
    op.create_index("sequence_gaps_workspace_idx", "sequence_gaps", ["workspace_id", "id"])
    op.create_index("sequence_gaps_connector_idx", "sequence_gaps", ["connector_id", "id"])


def _create_instruments() -> None:
    op.create_table(
        "instruments",
        sa.Column("workspace_id", sa.Uuid(), sa.ForeignKey("workspaces.id"), primary_key=True),
        sa.Column("exchange", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("last_price", sa.Numeric()),
        _time("last_time", nullable=False),
        sa.Column("last_message_id", sa.BigInteger(), nullable=False),
    )


def _create_nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("node", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("leased_by", sa.Uuid()),
        _time("leased_until"),
        sa.Column("last_id", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("dropped_id", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.CheckConstraint("node >= 0 AND node < 1024", name="nodes_node_known"),
    )


def _workspace() -> sa.Column[UUID]:
    return sa.Column("workspace_id", sa.Uuid(), sa.ForeignKey("workspaces.id"), nullable=False)


def _time(name: str, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
