"""Roles, grants and policies: the database shows and admits to each viewer what is theirs; the audit is sealed."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from infra.postgres import roles
from infra.postgres.migrations.security import functions, grants, policies, triggers

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

HOME_WORKSPACE_ID = UUID("01900000-0000-7000-8000-000000000001")
VIEWER = ("read_data",)
ANALYST = (*VIEWER, "write_data", "manage_connectors", "use_secrets")
ADMIN = (
    *ANALYST,
    "manage_secrets",
    "manage_api_keys",
    "manage_members",
    "manage_groups",
    "read_audit",
    "manage_workspace",
)
PERMISSIONS = {
    "viewer": VIEWER,
    "analyst": ANALYST,
    "admin": ADMIN,
    "owner": (*ADMIN, "own_workspace"),
}
OF_A_WORKSPACE = (
    "connectors",
    "connector_status",
    "message_batches",
    "quarantined_frames",
    "sequence_gaps",
    "instruments",
)


def upgrade() -> None:
    _create_role_permissions()
    _create_audit_chains()
    _follow_workspaces("CASCADE")
    _remove_unused_home()
    roles.ensure(op.get_bind())
    schema = _schema()
    definer = (
        "language plpgsql stable security definer parallel safe"
        f" set search_path = {schema}, pg_temp"
    )
    for function in functions.FUNCTIONS:
        op.execute(function.replace("{definer}", definer))
    definer = f"language plpgsql security definer set search_path = {schema}, pg_temp"
    for function in triggers.FUNCTIONS:
        op.execute(function.replace("{definer}", definer).replace("{schema}", schema))
    for name, (_, trigger) in triggers.TRIGGERS.items():
        op.execute(trigger.format(name=name))
    for signature in (*functions.SIGNATURES, *triggers.SIGNATURES):
        op.execute(f"revoke execute on function {signature} from public")
    for signature in functions.SIGNATURES:
        op.execute(f"grant execute on function {signature} to {roles.API}")
    for statement in policies.statements():
        op.execute(statement)
    op.execute(f"grant usage on schema {schema} to {', '.join(roles.ROLES)}")
    for role, tables in grants.GRANTS.items():
        for table, rights in tables.items():
            op.execute(f"grant {rights} on {table} to {role}")
    op.execute(f"grant create on schema {schema} to {roles.INGEST}")
    for table in _stream_tables():
        op.execute(f'alter table "{table}" owner to {roles.INGEST}')


def downgrade() -> None:
    schema = _schema()
    for table in _stream_tables():
        op.execute(f'alter table "{table}" owner to current_user')
    op.execute(f"revoke all on schema {schema} from {', '.join(roles.ROLES)}")
    op.execute(f"revoke all on all tables in schema {schema} from {', '.join(roles.ROLES)}")
    for statement in policies.dropped():
        op.execute(statement)
    for name, (table, _) in triggers.TRIGGERS.items():
        op.execute(f"drop trigger {name} on {table}")
    for signature in (*triggers.SIGNATURES, *reversed(functions.SIGNATURES)):
        op.execute(f"drop function {signature}")
    roles.drop_unused(op.get_bind())
    _restore_home()
    _follow_workspaces(None)
    op.drop_table("audit_chains")
    op.drop_table("role_permissions")


def _create_role_permissions() -> None:
    table = op.create_table(
        "role_permissions",
        sa.Column("role", sa.String(40), primary_key=True),
        sa.Column("permission", sa.String(40), primary_key=True),
    )
    op.bulk_insert(
        table,
        [
            {"role": role, "permission": permission}
            for role, permissions in PERMISSIONS.items()
            for permission in permissions
        ],
    )


def _create_audit_chains() -> None:
    op.create_table(
        "audit_chains",
        sa.Column("chain", sa.Uuid(), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("hash", sa.LargeBinary(), nullable=False, server_default=sa.text("''")),
        sa.Column("anchor_sequence", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("anchor_hash", sa.LargeBinary(), nullable=False, server_default=sa.text("''")),
    )


def _follow_workspaces(ondelete: str | None) -> None:
    """Whether what belongs to a workspace goes with it."""
    for table in OF_A_WORKSPACE:
        name = f"{table}_workspace_id_fkey"
        op.drop_constraint(name, table, type_="foreignkey")
        op.create_foreign_key(
            name, table, "workspaces", ["workspace_id"], ["id"], ondelete=ondelete
        )


def _remove_unused_home() -> None:
    """The workspace of the time before users goes, unless something is in it: then an owner adopts it."""
    used = " or ".join(
        f"exists (select from {table} where workspace_id = home.id)"
        for table in (*OF_A_WORKSPACE, "members", "messages")
    )
    op.execute(
        sa.text(f"delete from workspaces home where id = :id and not ({used})").bindparams(  # noqa: S608
            id=HOME_WORKSPACE_ID
        )
    )


def _restore_home() -> None:
    op.execute(
        sa.text(
            "insert into workspaces (id, name, time_zone, currency, personal,"
            " second_factor_required, version, created_at, updated_at)"
            " values (:id, 'Home', 'UTC', 'USD', false, false, 1, now(), now())"
            " on conflict (id) do nothing"
        ).bindparams(id=HOME_WORKSPACE_ID)
    )


def _schema() -> str:
    schema: str = op.get_bind().scalar(sa.text("select quote_ident(current_schema())")) or "public"
    return schema


def _stream_tables() -> list[str]:
    """`messages` and its partitions."""
    query = sa.text("select relid::regclass::text from pg_partition_tree('messages')")
    return list(op.get_bind().scalars(query))
