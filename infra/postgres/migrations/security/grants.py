"""What each role may do to which table, before policies say to which rows. What is not here is refused."""

from infra.postgres.roles import ACCOUNTS, API, INGEST

IDENTITY = (
    "users",
    "credentials",
    "recovery_codes",
    "external_identities",
    "sessions",
    "refresh_tokens",
    "one_time_tokens",
    "sign_in_attempts",
    "signing_keys",
    "workspaces",
    "members",
    "invitations",
    "groups",
    "group_members",
    "resource_shares",
    "api_keys",
)
"""The tables that the accounts' role has all rights to."""

_CONNECTOR = (
    "name, url, protocol, venue, enabled, method, body, polling_interval_ms, subscribe_frames,"
    " stale_after_ms, mapping, auth_type, signing, secret_fields, secret_references, sealed,"
    " version, updated_at"
)

GRANTS: dict[str, dict[str, str]] = {
    API: {
        "users": "select, update (name, time_zone, updated_at)",
        "sessions": "select, update (ended_at, end_reason)",
        "external_identities": "select, delete",
        "workspaces": "select, delete, update (name, industry, location, time_zone, currency,"
        " second_factor_required, version, updated_at)",
        "members": "select, delete, update (role)",
        "invitations": "select, insert, delete,"
        " update (role, token_hash, created_at, expires_at, revoked_at)",
        "groups": "select, insert, delete, update (name, description, updated_at)",
        "group_members": "select, insert, delete",
        "resource_shares": "select, insert, delete, update (access)",
        "api_keys": "select, insert, update (name, revoked_at, revoked_by)",
        "secrets": "select, insert, delete,"
        " update (sealed, masked, version, updated_by, updated_at, last_used_at)",
        "audit_events": "select, insert",
        "role_permissions": "select",
        "connectors": f"select, insert, delete, update ({_CONNECTOR})",
        "connector_status": "select, insert, update (state, since)",
        "messages": "select",
        "message_batches": "select",
        "quarantined_frames": "select",
        "sequence_gaps": "select",
        "instruments": "select",
        "nodes": "select",
    },
    ACCOUNTS: {
        **dict.fromkeys(IDENTITY, "select, insert, update, delete"),
        "role_permissions": "select",
        "audit_events": "select, insert",
    },
    INGEST: {
        "workspaces": "select",
        "connectors": "select",
        "connector_status": "select, insert, update",
        "message_batches": "select, insert, update, delete",
        "quarantined_frames": "select, insert, update, delete",
        "sequence_gaps": "select, insert, update, delete",
        "instruments": "select, insert, update, delete",
        "nodes": "select, insert, update",
        "secrets": "select, update (last_used_at)",
        "audit_events": "insert",
    },
}
