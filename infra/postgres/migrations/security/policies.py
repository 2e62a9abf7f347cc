"""Which rows each role sees and may leave behind.

Where a policy for update has an own check, the first condition says which rows may be locked and changed, the second
what may become of them: a row never leaves its workspace, because no role may write that column.
"""

from collections.abc import Iterator

from infra.postgres.migrations.security.grants import IDENTITY
from infra.postgres.roles import ACCOUNTS, API, INGEST

PROTECTED = (
    *(table for table in IDENTITY if table not in ("sign_in_attempts", "signing_keys")),
    "secrets",
    "audit_events",
    "audit_chains",
    "connectors",
    "connector_status",
    "messages",
    "message_batches",
    "quarantined_frames",
    "sequence_gaps",
    "instruments",
)
"""Every table with an owner or a workspace, and those that hang on one."""

ME = "(select penstock_user())"
MEMBER = "workspace_id = any((select penstock_memberships())::uuid[])"


def may(permission: str, column: str = "workspace_id") -> str:
    """The row's workspace is one in which the viewer has the permission."""
    return f"{column} = any((select penstock_workspaces('{permission}'))::uuid[])"


def shared(kind: str, access: str, column: str = "id") -> str:
    """The row is shared with a group of the viewer's."""
    return f"{column} = any((select penstock_shared('{kind}', '{access}'))::uuid[])"


READ = may("read_data")
_NOT_ABOVE = f"(role <> 'owner' or {may('own_workspace')})"
_OWN_KEY = "id = (select penstock_key())"
_OWN_CONNECTOR = """
    exists (select from connectors c
        where c.id = connector_status.connector_id and c.workspace_id = connector_status.workspace_id)
"""
_WITHIN_WORKSPACE = """
    exists (select from groups g
        where g.id = group_members.group_id and g.workspace_id = group_members.workspace_id)
    and exists (select from members m
        where m.user_id = group_members.user_id and m.workspace_id = group_members.workspace_id)
"""
_RESOURCE_WITHIN_WORKSPACE = """
    exists (select from groups g
        where g.id = resource_shares.group_id and g.workspace_id = resource_shares.workspace_id)
    and case kind
        when 'connector' then exists (select from connectors c
            where c.id = resource_shares.resource_id and c.workspace_id = resource_shares.workspace_id)
        when 'secret' then exists (select from secrets s
            where s.id = resource_shares.resource_id and s.workspace_id = resource_shares.workspace_id)
    end
"""
_GIVES_NO_MORE = """
    permissions <@ penstock_permissions(workspace_id)
    and not permissions && array['own_workspace', 'manage_members', 'manage_api_keys']
"""
_DRIVES = f"({may('manage_connectors')} or ({READ} and {shared('connector', 'write')}))"
_DRIVES_STATUS = (
    f"({may('manage_connectors')} or ({READ} and {shared('connector', 'write', 'connector_id')}))"
)
_KEEPS_SECRET = f"({may('manage_secrets')} or ({MEMBER} and {shared('secret', 'write')}))"
_AS_MYSELF = f"""
    user_id is not distinct from {ME} and api_key_id is not distinct from (select penstock_key())
    and (workspace_id is null or {MEMBER}
        or workspace_id::text = current_setting('penstock.left', true))
"""
_ABOUT_ME = f"(workspace_id is null and subject_type = 'User' and subject_id = {ME}::text)"

# Table and command to the rows that there are for it, and those that may be left behind by it.
API_POLICIES: dict[str, dict[str, tuple[str | None, str | None]]] = {
    "users": {
        "select": ("id = any((select penstock_people())::uuid[])", None),
        "update": (f"id = {ME}", f"id = {ME}"),
    },
    "sessions": {
        "select": (f"user_id = {ME}", None),
        "update": (f"user_id = {ME}", f"user_id = {ME}"),
    },
    "external_identities": {
        "select": (f"user_id = {ME}", None),
        "delete": (f"user_id = {ME}", None),
    },
    "workspaces": {
        "select": ("id = any((select penstock_memberships())::uuid[])", None),
        "update": (may("manage_workspace", "id"), may("manage_workspace", "id")),
        "delete": (f"not personal and {may('own_workspace', 'id')}", None),
    },
    "members": {
        "select": (f"{READ} or user_id = {ME}", None),
        "update": (
            f"{may('manage_members')} and {_NOT_ABOVE}",
            f"{may('manage_members')} and {_NOT_ABOVE}",
        ),
        "delete": (f"({may('manage_members')} and {_NOT_ABOVE}) or user_id = {ME}", None),
    },
    "invitations": {
        "select": (may("manage_members"), None),
        "insert": (None, f"{may('manage_members')} and {_NOT_ABOVE} and invited_by = {ME}"),
        "update": (may("manage_members"), f"{may('manage_members')} and {_NOT_ABOVE}"),
        "delete": (may("manage_members"), None),
    },
    "groups": {
        "select": (READ, None),
        "insert": (None, may("manage_groups")),
        "update": (may("manage_groups"), may("manage_groups")),
        "delete": (may("manage_groups"), None),
    },
    "group_members": {
        "select": (READ, None),
        "insert": (None, f"{may('manage_groups')} and {_WITHIN_WORKSPACE}"),
        "delete": (f"{may('manage_groups')} or user_id = {ME}", None),
    },
    "resource_shares": {
        "select": (READ, None),
        "insert": (None, f"{may('manage_groups')} and {_RESOURCE_WITHIN_WORKSPACE}"),
        "update": (may("manage_groups"), may("manage_groups")),
        "delete": (f"{may('manage_groups')} or {may('manage_connectors')}", None),
    },
    "api_keys": {
        "select": (f"{may('manage_api_keys')} or {_OWN_KEY}", None),
        "insert": (
            None,
            f"{may('manage_api_keys')} and created_by = {ME} and {_GIVES_NO_MORE}",
        ),
        "update": (may("manage_api_keys"), may("manage_api_keys")),
    },
    "secrets": {
        "select": (
            f"{may('use_secrets')} or {may('manage_secrets')}"
            f" or ({MEMBER} and {shared('secret', 'read')})",
            None,
        ),
        "insert": (None, may("manage_secrets")),
        "update": (_KEEPS_SECRET, _KEEPS_SECRET),
        "delete": (may("manage_secrets"), None),
    },
    "audit_events": {
        "select": (f"{may('read_audit')} or user_id = {ME} or {_ABOUT_ME}", None),
        "insert": (None, _AS_MYSELF),
    },
    "connectors": {
        "select": (READ, None),
        "insert": (None, may("manage_connectors")),
        "update": (_DRIVES, _DRIVES),
        "delete": (may("manage_connectors"), None),
    },
    "connector_status": {
        "select": (READ, None),
        "insert": (None, f"{_DRIVES_STATUS} and {_OWN_CONNECTOR}"),
        "update": (_DRIVES_STATUS, _DRIVES_STATUS),
    },
    "messages": {"select": (READ, None)},
    "message_batches": {"select": (READ, None)},
    "quarantined_frames": {"select": (READ, None)},
    "sequence_gaps": {"select": (READ, None)},
    "instruments": {"select": (READ, None)},
}

EVERYTHING: dict[str, tuple[str, ...]] = {
    ACCOUNTS: (*(table for table in IDENTITY if table in PROTECTED), "audit_events"),
    INGEST: (
        "workspaces",
        "connectors",
        "connector_status",
        "message_batches",
        "quarantined_frames",
        "sequence_gaps",
        "instruments",
        "secrets",
        "audit_events",
    ),
}
"""Roles that see the tables granted to them whole: they act for the service, before or beside any viewer."""


def statements() -> Iterator[str]:
    """Row-level security for every protected table, and its policies."""
    for table in PROTECTED:
        yield f"alter table {table} enable row level security"
    for table, commands in API_POLICIES.items():
        for command, (using, check) in commands.items():
            yield (
                f"create policy api_{command} on {table} for {command} to {API}"
                + (f" using ({using})" if using else "")
                + (f" with check ({check})" if check else "")
            )
    for role, tables in EVERYTHING.items():
        for table in tables:
            yield f"create policy {role} on {table} to {role} using (true) with check (true)"


def dropped() -> Iterator[str]:
    """The way back."""
    for role, tables in EVERYTHING.items():
        for table in tables:
            yield f"drop policy {role} on {table}"
    for table, commands in API_POLICIES.items():
        for command in commands:
            yield f"drop policy api_{command} on {table}"
    for table in PROTECTED:
        yield f"alter table {table} disable row level security"
