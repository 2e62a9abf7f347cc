"""Functions that tell policies who the viewer is and what they may do.

The transaction says who asks (`penstock.user_id` or `penstock.api_key_id`), or for which workspace a shared execution
reads (`penstock.delegate` and `penstock.workspace_id`). What follows from that is looked up here, never believed:
as the tables' owner, who sees every row, and once for each statement, since policies ask in an uncorrelated subquery.
"""

SIGNATURES = (
    "penstock_user()",
    "penstock_key()",
    "penstock_workspaces(text)",
    "penstock_memberships()",
    "penstock_permissions(uuid)",
    "penstock_shared(text, text)",
    "penstock_people()",
)

FUNCTIONS = (
    """
create function penstock_user() returns uuid {definer} as $$
begin
    return (
        select u.id from users u
        where u.id = nullif(current_setting('penstock.user_id', true), '')::uuid
            and u.status = 'active'
    );
end $$
""",
    """
create function penstock_key() returns uuid {definer} as $$
begin
    return (
        select k.id from api_keys k
        join users u on u.id = k.created_by and u.status = 'active'
        where k.id = nullif(current_setting('penstock.api_key_id', true), '')::uuid
            and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
    );
end $$
""",
    """
create function penstock_workspaces(wanted text) returns uuid[] {definer} as $$
declare
    person uuid := nullif(current_setting('penstock.user_id', true), '')::uuid;
begin
    if person is not null then
        return array(
            select m.workspace_id from members m
            join users u on u.id = m.user_id
            join workspaces w on w.id = m.workspace_id
            join role_permissions p on p.role = m.role and p.permission = wanted
            where m.user_id = person and u.status = 'active'
                and (u.second_factor or not w.second_factor_required)
        );
    elsif current_setting('penstock.delegate', true) = 'true' then
        return case when wanted = 'read_data'
            then array[nullif(current_setting('penstock.workspace_id', true), '')::uuid]
            else array[]::uuid[]
        end;
    end if;
    return array(
        select k.workspace_id from api_keys k
        where k.id = penstock_key() and wanted = any(k.permissions)
            and wanted not in ('own_workspace', 'manage_members', 'manage_api_keys')
    );
end $$
""",
    """
create function penstock_memberships() returns uuid[] {definer} as $$
begin
    if current_setting('penstock.delegate', true) = 'true' then
        return penstock_workspaces('read_data');
    end if;
    return array(
        select m.workspace_id from members m where m.user_id = penstock_user()
        union all
        select k.workspace_id from api_keys k where k.id = penstock_key()
    );
end $$
""",
    """
create function penstock_permissions(workspace uuid) returns text[] {definer} as $$
begin
    return array(
        select distinct p.permission::text from role_permissions p
        where workspace = any(penstock_workspaces(p.permission::text))
    );
end $$
""",
    # A share counts only while its resource is of its own workspace: nobody shares what is another's.
    """
create function penstock_shared(wanted_kind text, wanted_access text) returns uuid[] {definer} as $$
begin
    return array(
        select s.resource_id from group_members g
        join resource_shares s on s.group_id = g.group_id and s.workspace_id = g.workspace_id
        where g.user_id = nullif(current_setting('penstock.user_id', true), '')::uuid
            and g.workspace_id = any(penstock_workspaces('read_data'))
            and s.kind = wanted_kind and (wanted_access = 'read' or s.access = 'write')
            and case s.kind
                when 'connector' then exists (
                    select from connectors c
                    where c.id = s.resource_id and c.workspace_id = s.workspace_id)
                when 'secret' then exists (
                    select from secrets c
                    where c.id = s.resource_id and c.workspace_id = s.workspace_id)
                else false
            end
    );
end $$
""",
    """
create function penstock_people() returns uuid[] {definer} as $$
begin
    return array(
        select m.user_id from members m
        where m.workspace_id = any(penstock_workspaces('read_data'))
        union
        select penstock_user() where penstock_user() is not null
    );
end $$
""",
)
