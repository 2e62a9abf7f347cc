"""What PostgreSQL itself shows and admits, whatever a resolver would have asked."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from domain.identity import PERMISSIONS, Permission, Role, Viewer
from infra.postgres import migrate, roles
from infra.postgres.database import Connection, Database, connector
from infra.postgres.migrations.security.grants import GRANTS
from infra.postgres.roles import API
from infra.postgres.viewing import settings_of
from tests import factories
from tests.cluster import as_login, drop_database, run, with_database
from tests.factories import HOME_WORKSPACE_ID, NOW, OWNER_ID
from tests.tenants import HOME, a_tenant

REFUSED = asyncpg.InsufficientPrivilegeError
_OF_SOMEBODY = """
    select relname from pg_class join pg_attribute on attrelid = pg_class.oid
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
        and attname in ('workspace_id', 'user_id') and not relrowsecurity
"""


@dataclass
class Tenant:
    """A workspace with something in every table, and a viewer of each role in it."""

    viewers: dict[Role, Viewer]
    connector_id: UUID
    group_id: UUID
    key: Viewer

    @property
    def owner(self) -> Viewer:
        return self.viewers[Role.OWNER]

    @property
    def workspace_id(self) -> UUID:
        return self.owner.workspace_id


_FILL = """
    insert into sessions (id, user_id, method, second_factor, created_at, last_used_at, expires_at)
    values (gen_random_uuid(), '{owner}', 'password', false, now(), now(), now() + interval '1 day');
    insert into external_identities values
        (gen_random_uuid(), '{owner}', 'p', 'https://p', '{owner}', now(), now());
    insert into credentials (user_id, totp_last_step) values ('{owner}', 0);
    insert into recovery_codes values (gen_random_uuid(), '{owner}', 'x');
    insert into one_time_tokens values
        (gen_random_uuid(), '{owner}', 'sign_in', '{owner}', '{{}}', now(), now());
    insert into refresh_tokens select gen_random_uuid(), id, '{owner}', now(), now()
        from sessions where user_id = '{owner}';
    insert into invitations (id, workspace_id, email, role, token_hash, created_at, expires_at)
    values (gen_random_uuid(), '{workspace}', 'a@b.example', 'viewer', '{owner}', now(), now());
    insert into resource_shares values
        (gen_random_uuid(), '{workspace}', '{group}', 'connector', '{connector}', 'write', now());
    insert into secrets (id, workspace_id, name, sealed, masked, version, created_at, updated_at)
    values (gen_random_uuid(), '{workspace}', 's', 'x', '*', 1, now(), now());
    insert into audit_events
        (id, chain, sequence, at, workspace_id, action, outcome, changes, previous_hash, hash)
    values (gen_random_uuid(), '{workspace}', 0, now(), '{workspace}', 'a', 'done', '[]', '', '');
    insert into connector_status
        (connector_id, workspace_id, state, since, message_count, quarantined_count, duplicate_count,
         gap_count, shed_count, reconnect_count, message_rate, lease_epoch)
    values ('{connector}', '{workspace}', 'inactive', now(), 0, 0, 0, 0, 0, 0, 0, 0);
    insert into message_batches (id, workspace_id, connector_id, last_id, message_count, byte_count,
        first_received_at, last_received_at, duration_ms)
    values ({number}, '{workspace}', '{connector}', {number}, 1, 1, now(), now(), 1);
    insert into quarantined_frames values (gen_random_uuid(), '{workspace}', '{connector}', now(),
        'malformed', 'x', 'x', 'x', 1, 'held');
    insert into sequence_gaps values
        (gen_random_uuid(), '{workspace}', '{connector}', 'i', 'trade', 1, 3, 1, now());
    insert into instruments values ('{workspace}', 'binance', 'I', 1, now(), {number})
"""


async def a_full_tenant(database: Database, number: int) -> Tenant:
    owner = await a_tenant(database)
    workspace_id, owner_id = owner.workspace_id, owner.user_id
    assert owner_id is not None
    viewers = {Role.OWNER: owner}
    for role in (Role.ADMIN, Role.ANALYST, Role.VIEWER):
        user = factories.user()
        user_id = user.id
        await factories.save(database, user)
        await factories.save(database, factories.member(workspace_id, user_id, role))
        viewers[role] = Viewer(workspace_id, user_id=user_id)
    made = factories.connector(workspace_id=workspace_id)
    group, key = factories.group(workspace_id), factories.api_key(workspace_id, owner_id)
    found = Tenant(viewers, made.id, group.id, Viewer(workspace_id, api_key_id=key.id))
    await factories.save(database, made, group, key)
    analyst = viewers[Role.VIEWER].user_id
    assert analyst is not None
    await factories.save(
        database, factories.group_member(factories.group(workspace_id, id=found.group_id), analyst)
    )
    await factories.store(
        database,
        [
            factories.message(
                id=factories.message_id(sequence=number),
                workspace_id=workspace_id,
                connector_id=found.connector_id,
            )
        ],
    )
    await database.pool.execute(
        _FILL.format(
            owner=owner_id,
            workspace=workspace_id,
            group=found.group_id,
            connector=found.connector_id,
            number=number,
        )
    )
    return found


@dataclass
class Two:
    """Two tenants who know each other's ids."""

    database: Database
    api: Database
    mine: Tenant
    theirs: Tenant

    @asynccontextmanager
    async def acting(self, viewer: Viewer) -> AsyncIterator[Connection]:
        """A transaction as somebody, undone at the end."""
        async with self.api.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(settings_of(viewer) or "select 1")
                yield connection
            finally:
                await transaction.rollback()

    async def sees(self, viewer: Viewer, query: str, *arguments: Any) -> Any:
        async with self.acting(viewer) as connection:
            return await connection.fetchval(query, *arguments)

    async def changes(self, viewer: Viewer, statement: str, *arguments: Any) -> int:
        """How many rows a statement changes as somebody."""
        async with self.acting(viewer) as connection:
            return int((await connection.execute(statement, *arguments)).split()[-1])


@pytest.fixture
async def two(database: Database) -> AsyncIterator[Two]:
    async with Database(database.url, pool_size=2, role=API) as api:
        mine = await a_full_tenant(database, 1)
        yield Two(database, api, mine, await a_full_tenant(database, 2))


def columns_of(table: str) -> str:
    return "id" if table == "workspaces" else "workspace_id"


OWNED = [table for table in GRANTS[API] if table not in ("role_permissions", "nodes", "users")]
PERSONAL = ("sessions", "external_identities")


async def test_every_table_with_an_owner_or_a_workspace_has_row_level_security(
    database: Database,
) -> None:
    assert await database.pool.fetch(_OF_SOMEBODY) == []


async def test_the_database_knows_the_permissions_of_the_domain(database: Database) -> None:
    rows = await database.pool.fetch("select role, permission from role_permissions")
    assert {(row["role"], row["permission"]) for row in rows} == {
        (role.value, permission.value) for role in Role for permission in PERMISSIONS[role]
    }


@pytest.mark.parametrize("role", roles.ROLES)
async def test_no_role_signs_in_passes_policies_or_administers(
    database: Database, role: str
) -> None:
    found = await database.pool.fetchrow(
        "select rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles"
        " where rolname = $1",
        role,
    )
    assert found is not None
    assert not any(found)


async def test_the_api_reads_no_credentials_and_no_partitions(two: Two) -> None:
    refused = await two.database.pool.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind in ('r', 'p') and has_any_column_privilege($1, oid, 'select')",
        API,
    )
    assert {row["relname"] for row in refused} == set(GRANTS[API])
    for table in ("credentials", "recovery_codes", "refresh_tokens", "one_time_tokens"):
        with pytest.raises(REFUSED):
            await two.sees(two.mine.owner, f"select count(*) from {table}")


async def test_a_viewer_sees_what_is_of_their_workspace_and_nothing_else(two: Two) -> None:
    for table in OWNED:
        everything = await two.database.pool.fetchval(f"select count(*) from {table}")
        async with two.acting(two.mine.owner) as connection:
            rows = await connection.fetch(f"select * from {table}")
        assert 0 < len(rows) < everything, table
        for row in rows:
            assert two.theirs.workspace_id not in row.values(), table
            assert two.theirs.owner.user_id not in row.values(), table
            if table not in PERSONAL:
                assert row[columns_of(table)] == two.mine.workspace_id, table


async def test_nobody_and_the_deactivated_see_nothing(two: Two) -> None:
    await two.database.pool.execute(
        "update users set status = 'deactivated' where id = $1", two.mine.owner.user_id
    )
    nobody = Viewer(two.mine.workspace_id)
    for viewer in (nobody, Viewer(nobody.workspace_id, user_id=factories.new_id()), two.mine.owner):
        for table in (*OWNED, "users"):
            assert await two.sees(viewer, f"select count(*) from {table}") == 0, table


async def test_a_delegate_reads_one_workspace_and_writes_nothing(two: Two) -> None:
    delegate = Viewer(two.mine.workspace_id, delegate=True)
    ids = "select array_agg(distinct workspace_id) from messages"
    assert await two.sees(delegate, ids) == [two.mine.workspace_id]
    for table in ("secrets", "sessions", "api_keys", "invitations", "audit_events"):
        assert await two.sees(delegate, f"select count(*) from {table}") == 0, table
    assert await two.changes(delegate, "update connectors set name = 'x'") == 0
    assert await two.changes(delegate, "delete from connectors") == 0
    assert await two.changes(delegate, "update members set role = 'viewer'") == 0


@pytest.mark.parametrize(
    "change",
    [
        "update api_keys set revoked_at = now()",
        "update api_keys set expires_at = now() - interval '1 second'",
        "update users set status = 'deactivated'",
    ],
)
async def test_a_key_sees_its_workspace_until_it_ends(two: Two, change: str) -> None:
    messages = "select count(*) from messages"
    assert await two.sees(two.mine.key, messages) == 1
    assert await two.changes(two.mine.key, "update connectors set name = 'x'") == 0
    await two.database.pool.execute(change)
    for table in OWNED:
        assert await two.sees(two.mine.key, f"select count(*) from {table}") == 0, table


async def test_a_key_never_governs_whatever_it_says_it_may(two: Two) -> None:
    await two.database.pool.execute(
        "update api_keys set permissions = $1", [permission.value for permission in Permission]
    )
    found = await two.sees(two.mine.key, "select penstock_permissions($1)", two.mine.workspace_id)
    governing = {"own_workspace", "manage_members", "manage_api_keys"}
    assert set(found) == {permission.value for permission in Permission} - governing


async def test_who_lacks_the_second_factor_a_workspace_asks_for_sees_only_that_it_is_there(
    two: Two,
) -> None:
    viewer, workspace_id = two.mine.owner, two.mine.workspace_id
    await two.database.pool.execute(
        "update workspaces set second_factor_required = true where id = $1", workspace_id
    )
    assert await two.sees(viewer, "select count(*) from messages") == 0
    assert await two.sees(viewer, "select array_agg(id) from workspaces") == [workspace_id]
    await two.database.pool.execute(
        "update users set second_factor = true where id = $1", viewer.user_id
    )
    assert await two.sees(viewer, "select count(*) from messages") == 1


@pytest.mark.parametrize("role", Role)
async def test_each_role_may_in_the_database_what_the_domain_says(two: Two, role: Role) -> None:
    viewer, workspace_id = two.mine.viewers[role], two.mine.workspace_id
    found = await two.sees(viewer, "select penstock_permissions($1)", workspace_id)
    assert set(found) == {permission.value for permission in PERMISSIONS[role]}
    assert not await two.sees(viewer, "select penstock_permissions($1)", two.theirs.workspace_id)
    may = PERMISSIONS[role]
    for statement, permission in (
        ("update workspaces set name = 'x'", Permission.MANAGE_WORKSPACE),
        ("update connectors set version = 2 where not enabled", Permission.MANAGE_CONNECTORS),
        ("delete from connectors", Permission.MANAGE_CONNECTORS),
        ("update secrets set masked = 'x'", Permission.MANAGE_SECRETS),
        ("delete from secrets", Permission.MANAGE_SECRETS),
        ("update api_keys set name = 'x'", Permission.MANAGE_API_KEYS),
        ("update groups set name = 'x'", Permission.MANAGE_GROUPS),
        ("delete from groups", Permission.MANAGE_GROUPS),
        ("update invitations set revoked_at = now()", Permission.MANAGE_MEMBERS),
        ("update members set role = 'viewer' where role = 'analyst'", Permission.MANAGE_MEMBERS),
        ("delete from workspaces", Permission.OWN_WORKSPACE),
    ):
        shared = role is Role.VIEWER and statement.startswith("update connectors")
        changed = await two.changes(viewer, statement)
        assert changed == (1 if permission in may or shared else 0), statement
    secrets = await two.sees(viewer, "select count(*) from secrets")
    assert secrets == (Permission.USE_SECRETS in may)
    audit = await two.sees(viewer, "select count(*) from audit_events")
    assert audit == (Permission.READ_AUDIT in may)


INSERTS: Sequence[tuple[str, str]] = (
    ("connectors", "name"),
    ("secrets", "name"),
    ("groups", "name"),
    ("invitations", "email"),
    ("api_keys", "name"),
    ("resource_shares", "access"),
    ("group_members", "created_at"),
    ("connector_status", "state"),
)


@pytest.mark.parametrize("table", [table for table, _ in INSERTS])
async def test_nobody_puts_a_row_into_anothers_workspace(two: Two, table: str) -> None:
    row = await two.database.pool.fetchrow(
        f"select to_jsonb(t) as row from {table} t where workspace_id = $1", two.theirs.workspace_id
    )
    assert row is not None
    values = json.loads(row["row"])
    if "id" in values:
        values["id"] = str(factories.new_id())
    if "name" in values:
        values["name"] = "another"
    with pytest.raises(REFUSED, match="row-level security"):
        await two.changes(
            two.mine.owner,
            f"insert into {table} select * from jsonb_populate_record(null::{table}, $1::jsonb)",
            json.dumps(values),
        )


async def test_no_row_is_moved_to_another_workspace(two: Two) -> None:
    for table in OWNED:
        if table == "workspaces" or table in PERSONAL:
            continue
        with pytest.raises(REFUSED):
            await two.changes(
                two.mine.owner, f"update {table} set workspace_id = $1", two.theirs.workspace_id
            )


async def test_a_share_of_what_is_anothers_is_neither_made_nor_heeded(two: Two) -> None:
    share = (
        "insert into resource_shares values"
        " (gen_random_uuid(), $1, $2, 'connector', $3, 'write', now())"
    )
    values = (two.mine.workspace_id, two.mine.group_id, two.theirs.connector_id)
    with pytest.raises(REFUSED, match="row-level security"):
        await two.changes(two.mine.owner, share, *values)
    await two.database.pool.execute(share, *values)
    shared = await two.sees(
        two.mine.viewers[Role.VIEWER], "select penstock_shared('connector', 'read')"
    )
    assert shared == [two.mine.connector_id]


async def test_a_write_share_lets_a_viewer_change_one_connector_but_not_delete_it(
    two: Two,
) -> None:
    viewer = two.mine.viewers[Role.VIEWER]
    assert await two.changes(viewer, "update connectors set enabled = true") == 1
    assert await two.changes(viewer, "update connector_status set state = 'starting'") == 1
    assert await two.changes(viewer, "delete from connectors") == 0
    await two.database.pool.execute("update resource_shares set access = 'read'")
    assert await two.changes(viewer, "update connectors set enabled = true") == 0


async def test_only_owners_make_and_unmake_owners(two: Two) -> None:
    admin = two.mine.viewers[Role.ADMIN]
    raise_me = "update members set role = 'owner' where user_id = $1"
    with pytest.raises(REFUSED, match="row-level security"):
        await two.changes(admin, raise_me, admin.user_id)
    assert await two.changes(admin, "update members set role = 'viewer' where role = 'owner'") == 0
    assert await two.changes(admin, "delete from members where role = 'owner'") == 0
    assert await two.changes(two.mine.owner, raise_me, admin.user_id) == 1
    with pytest.raises(REFUSED, match="owner"):
        await two.changes(admin, "update workspaces set second_factor_required = true")
    assert (
        await two.changes(two.mine.owner, "update workspaces set second_factor_required = true")
        == 1
    )


async def test_a_key_gets_no_more_than_its_maker_may(two: Two) -> None:
    insert = (
        "insert into api_keys (id, workspace_id, name, prefix, key_hash, permissions, created_by,"
        " created_at) values (gen_random_uuid(), $1, 'n', 'p', $2::text::bytea, $3, $4, now())"
    )
    admin = two.mine.viewers[Role.ADMIN]
    values = (two.mine.workspace_id, "hash")
    assert await two.changes(admin, insert, *values, ["read_data"], admin.user_id) == 1
    for permissions, maker in (
        (["own_workspace"], admin.user_id),
        (["manage_members"], admin.user_id),
        (["read_data", "nonsense"], admin.user_id),
        (["read_data"], two.mine.owner.user_id),
    ):
        with pytest.raises(REFUSED, match="row-level security"):
            await two.changes(admin, insert, *values, permissions, maker)


@pytest.mark.parametrize(
    "statement",
    [
        "update members set role = 'admin' where role = 'owner' and workspace_id = $1",
        "delete from members where role = 'owner' and workspace_id = $1",
    ],
)
async def test_a_workspace_keeps_an_owner_whoever_asks(two: Two, statement: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="owner"):
        await two.database.pool.execute(statement, two.mine.workspace_id)
    admin = two.mine.viewers[Role.ADMIN].user_id
    async with two.database.acquire() as connection, connection.transaction():
        await connection.execute(statement, two.mine.workspace_id)
        await connection.execute("update members set role = 'owner' where user_id = $1", admin)
    await two.database.pool.execute("delete from workspaces where id = $1", two.mine.workspace_id)


async def test_two_owners_who_leave_at_once_do_not_both_go(two: Two) -> None:
    admin = two.mine.viewers[Role.ADMIN].user_id
    await two.database.pool.execute("update members set role = 'owner' where user_id = $1", admin)
    leave = "delete from members where user_id = $1"
    async with two.database.acquire() as one, two.database.acquire() as other:
        first, second = one.transaction(), other.transaction()
        await first.start()
        await second.start()
        await one.execute(leave, two.mine.owner.user_id)
        await other.execute(leave, admin)
        await first.commit()
        with pytest.raises(asyncpg.CheckViolationError):
            await second.commit()


async def test_the_owner_of_a_personal_workspace_stays(database: Database) -> None:
    user = factories.user()
    user_id = user.id
    await factories.save(database, user)
    await factories.save(database, factories.member(HOME_WORKSPACE_ID, user_id))
    with pytest.raises(asyncpg.CheckViolationError):
        await database.pool.execute("delete from members where user_id = $1", OWNER_ID)


_AUDIT = (
    "insert into audit_events (id, chain, sequence, at, workspace_id, user_id, action, outcome,"
    " changes, previous_hash, hash)"
    " values (gen_random_uuid(), $1, 7, now(), $1, $2, 'a', 'done', '[]', 'x', 'x')"
)


async def test_the_audit_is_added_to_as_oneself_and_never_changed(two: Two) -> None:
    me = two.mine.viewers[Role.VIEWER]
    assert await two.changes(me, _AUDIT, me.workspace_id, me.user_id) == 1
    for workspace_id, user_id in (
        (two.theirs.workspace_id, me.user_id),
        (me.workspace_id, two.mine.owner.user_id),
        (me.workspace_id, None),
    ):
        with pytest.raises(REFUSED, match="row-level security"):
            await two.changes(me, _AUDIT, workspace_id, user_id)
    for statement in (
        "update audit_events set action = 'b'",
        "delete from audit_events",
        "truncate audit_events",
    ):
        with pytest.raises(REFUSED):
            await two.changes(two.mine.owner, statement)
        with pytest.raises(REFUSED, match="only added to"):
            await two.database.pool.execute(statement)


async def test_who_leaves_a_workspace_can_still_write_down_that_they_did(two: Two) -> None:
    me = two.mine.viewers[Role.VIEWER]
    async with two.acting(me) as connection:
        await connection.execute("delete from members where user_id = $1", me.user_id)
        await connection.execute(_AUDIT, me.workspace_id, me.user_id)
        with pytest.raises(REFUSED, match="row-level security"):
            await connection.execute(_AUDIT, two.theirs.workspace_id, me.user_id)


async def test_the_audit_is_chained_and_pruned_from_its_beginning(database: Database) -> None:
    insert = (
        "insert into audit_events (id, chain, sequence, at, workspace_id, action, outcome, changes,"
        " previous_hash, hash) values (gen_random_uuid(), $1, 0, $2, $1, 'a', 'done', '[]', '', '')"
    )
    for day in range(4):
        await database.pool.execute(insert, HOME_WORKSPACE_ID, NOW + timedelta(days=day))
    chained = (
        "select array_agg(sequence order by sequence), bool_and(hash = sha256(previous_hash ||"
        " convert_to(penstock_audit_text(e), 'UTF8'))) from audit_events e"
    )
    assert tuple(await database.pool.fetchrow(chained) or ()) == ([1, 2, 3, 4], True)
    prune = "select penstock_prune_audit($1)"
    assert await database.pool.fetchval(prune, NOW + timedelta(days=2)) == 2
    assert tuple(await database.pool.fetchrow(chained) or ()) == ([3, 4], True)
    assert await database.pool.fetchval(
        "select anchor_sequence = 2 and anchor_hash = previous_hash from audit_chains"
        " join audit_events e using (chain) where e.sequence = 3"
    )
    assert await database.pool.fetchval(prune, NOW + timedelta(days=9)) == 2
    await database.pool.execute(insert, HOME_WORKSPACE_ID, NOW)
    assert (await database.pool.fetchrow(chained) or ())[0] == [5]


TOLD: Sequence[tuple[str, set[str]]] = (
    ("update sessions set ended_at = now() where user_id = $1", {"user", "session"}),
    ("delete from sessions where user_id = $1", {"user", "session"}),
    ("update users set status = 'deactivated' where id = $1", {"user"}),
    ("update users set second_factor = true where id = $1", {"user"}),
    ("update members set role = 'owner' where user_id <> $1", {"user", "workspace"}),
    ("update api_keys set revoked_at = now() where created_by = $1", {"key", "workspace"}),
    ("update workspaces set second_factor_required = true where id <> $1", {"workspace"}),
    ("delete from group_members where user_id <> $1", {"user", "workspace"}),
    ("update resource_shares set access = 'read' where id <> $1", {"workspace"}),
)


async def test_changes_of_rights_are_told_and_nothing_else_is(two: Two) -> None:
    told: list[dict[str, Any]] = []
    user_id = two.mine.owner.user_id
    listening = await connector(two.database.url)()
    try:
        await listening.add_listener(
            "penstock_rights", lambda *arguments: told.append(json.loads(str(arguments[3])))
        )
        for statement in (
            "update sessions set last_used_at = now(), expires_at = expires_at + interval '1 day'",
            "update api_keys set last_used_at = now()",
            "update users set name = 'x'",
            "update workspaces set name = 'x'",
        ):
            await two.database.pool.execute(statement)
        for statement, named in TOLD:
            await two.database.pool.execute(statement, user_id)
            await listening.execute("select 1")
            assert told, statement
            assert all({name for name in news if news[name]} == named for news in told), statement
            assert all(set(news) == {"user", "session", "key", "workspace"} for news in told)
            told.clear()
    finally:
        await listening.close()


async def test_a_login_role_without_the_right_to_make_roles_is_told_what_to_run(
    server_url: str,
) -> None:
    login, name = f"plain_{factories.new_id().hex[-12:]}", f"penstock_test_{factories.new_id().hex}"
    await run(server_url, f"create role {login} login password 'plain'")
    await run(server_url, f"grant {login} to current_user")
    try:
        await run(server_url, f"create database {name} owner {login}")
        url = as_login(with_database(server_url, name), login, "plain")
        with pytest.raises(roles.RolesMissing, match=f'GRANT .* TO "{login}"'):
            await migrate.upgrade(url)
        await run(server_url, f"grant {', '.join(roles.ROLES)} to {login}")
        await migrate.upgrade(url)
        async with Database(url, pool_size=1, role=API) as api:
            assert await api.pool.fetchval("select current_user") == API
            assert await api.pool.fetchval("select count(*) from users") == 0
        await migrate.downgrade(url, "base")
    finally:
        await drop_database(with_database(server_url, name))
        await run(server_url, f"drop role {login}")


@pytest.mark.parametrize(
    "stronger",
    ["alter role penstock_api bypassrls", "grant penstock_ingest to penstock_api"],
)
async def test_a_role_that_would_pass_the_policies_is_refused(
    database: Database, stronger: str
) -> None:
    async with database.engine.connect() as connection:  # never committed: all databases share it
        await connection.execute(text(stronger))
        with pytest.raises(roles.RolesMissing, match="penstock_api may sign in, pass row-level"):
            await connection.run_sync(roles.ensure)
        await connection.rollback()
        await connection.run_sync(roles.ensure)
    async with database.acquire() as raw:
        attempt = raw.transaction()
        await attempt.start()
        await raw.execute(stronger)
        assert await roles.too_strong(raw) == [API]
        await attempt.rollback()
        assert await roles.too_strong(raw) == []


async def test_going_back_takes_every_right_away(database_url: str) -> None:
    await migrate.downgrade(database_url, "0002")
    rights = (
        "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind in"
        " ('r', 'p') and (relrowsecurity or exists (select from pg_roles where rolname ~ '^penstock_'"
        " and has_any_column_privilege(pg_roles.oid, pg_class.oid, 'select')))"
    )
    async with Database(database_url, pool_size=1) as database:
        assert await database.pool.fetchval(rights) == 0
    await migrate.upgrade(database_url)
    async with (
        Database(database_url, pool_size=1, role=API) as api,
        api.acquire() as connection,
        connection.transaction(),
    ):
        await connection.execute(settings_of(HOME))
        assert await connection.fetchval("select id from workspaces") == HOME_WORKSPACE_ID
