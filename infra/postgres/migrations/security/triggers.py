"""What holds for every role: an owner for every workspace, an audit that is only added to, news of changed rights."""

from infra.postgres.roles import API

FUNCTIONS = (
    # Locked first, so that of two owners who leave at once the second finds that the first has left.
    """
create function penstock_keep_owner() returns trigger {definer} as $$
declare
    own boolean;
begin
    if tg_op = 'UPDATE' and new.role = 'owner' and new.user_id = old.user_id then
        return null;
    end if;
    select personal into own from workspaces where id = old.workspace_id for no key update;
    if not found then
        return null;
    end if;
    if own or not exists (
        select from members where workspace_id = old.workspace_id and role = 'owner'
    ) then
        raise exception 'a workspace keeps an owner'
            using errcode = 'check_violation', constraint = 'workspaces_owner_kept';
    end if;
    return null;
end $$
""",
    f"""
create function penstock_guard_workspace() returns trigger language plpgsql
set search_path = {{schema}}, pg_temp as $$
begin
    if current_user = '{API}' and not new.id = any(penstock_workspaces('own_workspace')) then
        raise exception 'only an owner asks for second factors' using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$
""",
    # Who leaves or deletes a workspace may still write down that they did, in the same transaction.
    """
create function penstock_note_leaving() returns trigger language plpgsql
set search_path = {schema}, pg_temp as $$
begin
    if old.user_id::text = current_setting('penstock.user_id', true) then
        perform set_config('penstock.left', old.workspace_id::text, true);
    end if;
    return null;
end $$
""",
    """
create function penstock_audit_text(event audit_events) returns text
language sql stable set search_path = {schema}, pg_temp as $$
    select jsonb_build_array(
        event.id::text, event.chain::text, event.sequence::text,
        to_char(event.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        event.workspace_id::text, event.user_id::text, event.api_key_id::text,
        event.session_id::text, event.action, event.outcome, event.code, event.subject_type,
        event.subject_id, event.changes::text, event.address, event.agent, event.request_id
    )::text
$$
""",
    """
create function penstock_seal_audit() returns trigger {definer} as $$
declare
    head audit_chains;
begin
    new.chain := coalesce(new.workspace_id, '00000000-0000-0000-0000-000000000000'::uuid);
    insert into audit_chains (chain) values (new.chain) on conflict (chain) do nothing;
    select * into head from audit_chains where chain = new.chain for update;
    new.sequence := head.sequence + 1;
    new.previous_hash := head.hash;
    new.hash := sha256(head.hash || convert_to(penstock_audit_text(new), 'UTF8'));
    update audit_chains set sequence = new.sequence, hash = new.hash where chain = new.chain;
    return new;
end $$
""",
    """
create function penstock_refuse_change() returns trigger language plpgsql
set search_path = {schema}, pg_temp as $$
begin
    if tg_op = 'DELETE' and current_setting('penstock.pruning', true) = 'true' then
        return old;
    end if;
    raise exception 'the audit is only added to' using errcode = 'insufficient_privilege';
end $$
""",
    # A prefix of each chain, so that what stays is still whole; the anchor is the last event that went.
    """
create function penstock_prune_audit(before timestamptz) returns bigint {definer} as $$
declare
    head audit_chains;
    last audit_events;
    pruned bigint := 0;
    gone bigint;
begin
    perform set_config('penstock.pruning', 'true', true);
    for head in select * from audit_chains order by chain for update loop
        select * into last from audit_events
        where chain = head.chain and sequence < coalesce(
            (select min(sequence) from audit_events where chain = head.chain and at >= before),
            head.sequence + 1)
        order by sequence desc limit 1;
        continue when not found;
        update audit_chains set anchor_sequence = last.sequence, anchor_hash = last.hash
        where chain = head.chain;
        delete from audit_events where chain = head.chain and sequence <= last.sequence;
        get diagnostics gone = row_count;
        pruned := pruned + gone;
    end loop;
    perform set_config('penstock.pruning', '', true);
    return pruned;
end $$
""",
    """
create function penstock_tell_rights() returns trigger language plpgsql
set search_path = {schema}, pg_temp as $$
declare
    row jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
begin
    perform pg_notify('penstock_rights', json_build_object(
        'user', case when tg_table_name = 'users' then row->>'id'
            when tg_table_name in ('sessions', 'members', 'group_members') then row->>'user_id' end,
        'session', case when tg_table_name = 'sessions' then row->>'id' end,
        'key', case when tg_table_name = 'api_keys' then row->>'id' end,
        'workspace', case when tg_table_name = 'workspaces' then row->>'id'
            else row->>'workspace_id' end
    )::text);
    return null;
end $$
""",
)

TRIGGERS = {
    "members_owner_kept": (
        "members",
        "create constraint trigger {name} after update or delete on members"
        " deferrable initially deferred for each row when (old.role = 'owner')"
        " execute function penstock_keep_owner()",
    ),
    "workspaces_guarded": (
        "workspaces",
        "create trigger {name} before update of second_factor_required on workspaces for each row"
        " when (old.second_factor_required is distinct from new.second_factor_required)"
        " execute function penstock_guard_workspace()",
    ),
    "audit_events_sealed": (
        "audit_events",
        "create trigger {name} before insert on audit_events for each row"
        " execute function penstock_seal_audit()",
    ),
    "audit_events_kept": (
        "audit_events",
        "create trigger {name} before update or delete on audit_events for each row"
        " execute function penstock_refuse_change()",
    ),
    "audit_events_not_emptied": (
        "audit_events",
        "create trigger {name} before truncate on audit_events for each statement"
        " execute function penstock_refuse_change()",
    ),
    "sessions_told": (
        "sessions",
        "create trigger {name} after update on sessions for each row"
        " when (old.ended_at is distinct from new.ended_at or new.expires_at < old.expires_at"
        " or old.second_factor is distinct from new.second_factor)"
        " execute function penstock_tell_rights()",
    ),
    "sessions_told_gone": (
        "sessions",
        "create trigger {name} after delete on sessions for each row"
        " execute function penstock_tell_rights()",
    ),
    "api_keys_told": (
        "api_keys",
        "create trigger {name} after update on api_keys for each row"
        " when (old.revoked_at is distinct from new.revoked_at"
        " or old.expires_at is distinct from new.expires_at"
        " or old.permissions is distinct from new.permissions)"
        " execute function penstock_tell_rights()",
    ),
    "api_keys_told_gone": (
        "api_keys",
        "create trigger {name} after delete on api_keys for each row"
        " execute function penstock_tell_rights()",
    ),
    "users_told": (
        "users",
        "create trigger {name} after update on users for each row"
        " when (old.status is distinct from new.status"
        " or old.second_factor is distinct from new.second_factor)"
        " execute function penstock_tell_rights()",
    ),
    "users_told_gone": (
        "users",
        "create trigger {name} after delete on users for each row"
        " execute function penstock_tell_rights()",
    ),
    "workspaces_told": (
        "workspaces",
        "create trigger {name} after update on workspaces for each row"
        " when (old.second_factor_required is distinct from new.second_factor_required)"
        " execute function penstock_tell_rights()",
    ),
    "workspaces_told_gone": (
        "workspaces",
        "create trigger {name} after delete on workspaces for each row"
        " execute function penstock_tell_rights()",
    ),
    "members_leaving": (
        "members",
        "create trigger {name} after delete on members for each row"
        " execute function penstock_note_leaving()",
    ),
    "members_told": (
        "members",
        "create trigger {name} after insert or update or delete on members for each row"
        " execute function penstock_tell_rights()",
    ),
    "group_members_told": (
        "group_members",
        "create trigger {name} after insert or update or delete on group_members for each row"
        " execute function penstock_tell_rights()",
    ),
    "resource_shares_told": (
        "resource_shares",
        "create trigger {name} after insert or update or delete on resource_shares for each row"
        " execute function penstock_tell_rights()",
    ),
}

SIGNATURES = (
    "penstock_note_leaving()",
    "penstock_keep_owner()",
    "penstock_guard_workspace()",
    "penstock_seal_audit()",
    "penstock_refuse_change()",
    "penstock_prune_audit(timestamptz)",
    "penstock_tell_rights()",
    "penstock_audit_text(audit_events)",
)
