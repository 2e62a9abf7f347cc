"""Random tenants: people, roles, groups, keys, and rows in every table, each of which bears its tenant's mark."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st

from domain.identity import PERMISSIONS, Permission, Role, Viewer
from domain.keyset import encode
from domain.positions import Position, node_of
from infra.postgres.database import Connection, Database
from infra.postgres.message_log import edge_cursor
from resolvers.ids import global_id
from tests import factories

ROLES = tuple(Role)
_COLUMNS = ("id", "workspace_id", "user_id", "chain", "session_id", "group_id", "connector_id")
_TABLES = """
    select relname, array_agg(attname::text) as columns from pg_class
    join pg_attribute on attrelid = pg_class.oid
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
        and attname = any($1) and atttypid = 'uuid'::regtype
    group by relname order by relname
"""


@dataclass(frozen=True)
class Plan:
    """What a tenant is made of."""

    connectors: int = 1
    messages: int = 1
    groups: int = 1
    access: str = "write"
    key: frozenset[Permission] = frozenset({Permission.READ_DATA})
    guarded: bool = False


PLANS = st.builds(
    Plan,
    connectors=st.integers(1, 3),
    messages=st.integers(1, 3),
    groups=st.integers(1, 2),
    access=st.sampled_from(["read", "write"]),
    key=st.frozensets(st.sampled_from(Permission), min_size=1),
    guarded=st.booleans(),
)


@dataclass
class Tenant:
    """A workspace and all that is in it. `values` are what an argument may name, by kind."""

    mark: str
    workspace_id: UUID
    viewers: Mapping[str, Viewer]
    uuids: list[UUID]
    values: Mapping[str, Sequence[str]]
    markers: frozenset[str]
    labels: dict[str, str] = field(default_factory=dict)


def ghost(tenant: Tenant) -> Tenant:
    """A tenant that does not exist: each of its values is next to one of the tenant's, and as long."""

    def other(value: str) -> str:
        return value.translate(str.maketrans("0123456789abcdef", "1032547698badcfe"))

    known = {str(id): UUID(str(id)[:-1] + other(str(id)[-1])) for id in tenant.uuids}
    values = {
        kind: [_moved(kind, value, known, tenant.mark, other(tenant.mark)) for value in values]
        for kind, values in tenant.values.items()
    }
    return replace(tenant, values=values)


def _moved(kind: str, value: str, known: Mapping[str, UUID], mark: str, other: str) -> str:
    raw = _RAW.get(value)
    if raw is None:
        return value.replace(mark, other)
    moved = known[str(raw)] if isinstance(raw, UUID) else raw + 1
    return _as(kind, moved)


_RAW: dict[str, UUID | int] = {}


def _as(kind: str, key: UUID | int) -> str:
    """A key as arguments of this kind want it."""
    if kind == "edge":
        text = edge_cursor(int(key))
    elif kind == "position":
        text = Position({node_of(int(key)): int(key)}).encode()
    elif kind in ("keyset", "batch"):
        text = encode(key)
    elif kind == "uuid":
        text = str(key)
    else:
        text = global_id(kind, key)
    _RAW[text] = key
    return text


async def build(database: Database, plan: Plan) -> Tenant:
    """Make a tenant in one transaction."""
    mark = secrets.token_hex(8)
    workspace = uuid4()
    people = {role: uuid4() for role in ROLES}
    connectors, groups = _some(plan.connectors), _some(plan.groups)
    start = datetime.now(UTC) - timedelta(minutes=secrets.randbelow(600))
    numbers = [
        factories.message_id(start, node=secrets.randbelow(500), sequence=2 * number)
        for number in range(plan.messages)
    ]
    single = {
        kind: uuid4()
        for kind in ("key", "session", "invitation", "secret", "frame", "gap", "event", "share")
    }
    ids = [workspace, *people.values(), *connectors, *groups, *single.values()]
    async with database.acquire() as connection, connection.transaction():
        make = _Maker(connection, mark, workspace, start)
        await make.people(people, plan, groups, single)
        await make.stream(connectors, numbers, single)
        await make.rest(people, groups, connectors, plan, single)
    viewers = {
        role.value: Viewer(workspace, user_id=id, permissions=_may(role, plan))
        for role, id in people.items()
    }
    viewers["viewer"] = replace(viewers["viewer"], groups=frozenset(groups))
    governing = {Permission.OWN_WORKSPACE, Permission.MANAGE_MEMBERS, Permission.MANAGE_API_KEYS}
    viewers["key"] = Viewer(
        workspace, api_key_id=single["key"], permissions=plan.key - frozenset(governing)
    )
    viewers["delegate"] = viewers["owner"].shared
    values = _values(mark, workspace, people, connectors, groups, numbers, single)
    markers = {mark, *map(str, ids), *(v for kind in values for v in values[kind])}
    labels = {str(id): f"<{at}>" for at, id in enumerate(ids)}
    labels |= {v: f"<{kind} {at}>" for kind in values for at, v in enumerate(values[kind])}
    return Tenant(
        mark, workspace, viewers, ids, values, frozenset(markers), labels | {mark: "<mark>"}
    )


def _may(role: Role, plan: Plan) -> frozenset[Permission]:
    return frozenset() if plan.guarded else PERMISSIONS[role]


def _some(count: int) -> list[UUID]:
    return [uuid4() for _ in range(count)]


def _values(
    mark: str,
    workspace: UUID,
    people: Mapping[Role, UUID],
    connectors: Sequence[UUID],
    groups: Sequence[UUID],
    numbers: Sequence[int],
    single: Mapping[str, UUID],
) -> dict[str, list[str]]:
    """What arguments may name."""
    keys: dict[str, Sequence[UUID | int]] = {
        "Workspace": [workspace],
        "User": list(people.values()),
        "Connector": list(connectors),
        "Group": list(groups),
        "Message": list(numbers),
        "MessageBatchRecord": [numbers[0]],
        "ApiKey": [single["key"]],
        "DeviceSession": [single["session"]],
        "Invitation": [single["invitation"]],
        "Secret": [single["secret"]],
        "QuarantinedFrame": [single["frame"]],
        "SequenceGap": [single["gap"]],
        "AuditEvent": [single["event"]],
        "edge": list(numbers),
        "position": list(numbers),
        "batch": [numbers[0]],
        "keyset": [single["frame"], single["gap"], connectors[0], groups[0], single["event"]],
        "uuid": [workspace],
    }
    found = {kind: [_as(kind, key) for key in all_] for kind, all_ in keys.items()}
    return found | {"name": [f"name-{mark}"], "instrument": [f"I-{mark}".upper()], "mark": [mark]}


class _Maker:
    """Writes a tenant's rows."""

    def __init__(self, connection: Connection, mark: str, workspace: UUID, at: datetime) -> None:
        self._connection = connection
        self._mark = mark
        self._workspace = workspace
        self._at = at

    async def add(self, table: str, **values: Any) -> None:
        """Insert a row, from JSON as PostgreSQL reads it."""
        row = {"created_at": self._at, "updated_at": self._at, **values}
        await self._connection.execute(
            f"insert into {table} select * from json_populate_record(null::{table}, $1::json)",
            json.dumps(row, default=str),
        )

    async def of_workspace(self, table: str, **values: Any) -> None:
        await self.add(table, workspace_id=self._workspace, **values)

    async def people(
        self,
        people: Mapping[Role, UUID],
        plan: Plan,
        groups: Sequence[UUID],
        single: Mapping[str, UUID],
    ) -> None:
        mark, at = self._mark, self._at
        await self.add(
            "workspaces", id=self._workspace, name=f"name-{mark}", industry=mark, location=mark,
            time_zone="UTC", currency="USD", personal=False,
            second_factor_required=plan.guarded, version=1,
        )  # fmt: skip
        for role, id in people.items():
            await self.add(
                "users", id=id, email=f"{role.value}@{mark}.example", name=f"name-{mark}",
                time_zone="UTC", status="active", email_verified_at=at, second_factor=False,
            )  # fmt: skip
            await self.of_workspace("members", user_id=id, role=role.value)
            await self.add(
                "credentials", user_id=id, password_hash=f"hash {mark}", totp_last_step=0
            )
        owner = people[Role.OWNER]
        await self.add("recovery_codes", id=uuid4(), user_id=owner, code_hash=_bytes(mark))
        await self.add(
            "external_identities", id=uuid4(), user_id=owner, provider=mark, issuer=mark,
            subject=mark, last_used_at=at,
        )  # fmt: skip
        await self.add(
            "sessions", id=single["session"], user_id=owner, method="password",
            second_factor=False, device=mark, address=mark, last_used_at=at,
            expires_at=at + timedelta(days=30),
        )  # fmt: skip
        token = {"token_hash": _bytes(mark), "expires_at": at + timedelta(days=30)}
        await self.add("refresh_tokens", id=uuid4(), session_id=single["session"], **token)
        await self.add(
            "one_time_tokens", id=uuid4(), user_id=owner, purpose="reset_password",
            facts={"mark": mark}, **token,
        )  # fmt: skip
        for group in groups:
            await self.of_workspace(
                "groups", id=group, name=f"name-{mark} {group}", description=mark
            )
            await self.of_workspace("group_members", group_id=group, user_id=people[Role.VIEWER])

    async def stream(
        self, connectors: Sequence[UUID], numbers: Sequence[int], single: Mapping[str, UUID]
    ) -> None:
        mark, at = self._mark, self._at
        for id in connectors:
            await self.of_workspace(
                "connectors", id=id, name=f"name-{mark} {id}", url=f"wss://{mark}.example/ws",
                protocol="websocket", venue="custom", enabled=False, method="GET",
                subscribe_frames=[mark], stale_after_ms=1000, mapping={"price": mark},
                auth_type="none", secret_fields=[], secret_references={}, version=1,
            )  # fmt: skip
            counts = dict.fromkeys(
                ("message_count", "quarantined_count", "duplicate_count", "gap_count",
                 "shed_count", "reconnect_count", "message_rate", "lease_epoch"), 0,
            )  # fmt: skip
            await self.of_workspace(
                "connector_status", connector_id=id, state="error", since=at, last_error=mark,
                **counts,
            )  # fmt: skip
        first = {"connector_id": connectors[0]}
        for number in numbers:
            await self.of_workspace(
                "messages", id=number, exchange=mark, instrument=f"I-{mark}".upper(), type="trade",
                price="1.5", received_at=at, data={"mark": mark}, key=mark, **first,
            )  # fmt: skip
        await self.of_workspace(
            "message_batches", id=numbers[0], last_id=numbers[-1], message_count=len(numbers),
            byte_count=1, first_received_at=at, last_received_at=at, duration_ms=1,
            idempotency_key=mark, digest=_bytes(mark), **first,
        )  # fmt: skip
        await self.of_workspace(
            "quarantined_frames", id=single["frame"], received_at=at, reason="malformed",
            explanation=mark, source=mark, frame=_bytes(mark), frame_bytes=1, state="held",
            **first,
        )  # fmt: skip
        await self.of_workspace(
            "sequence_gaps", id=single["gap"], instrument=mark, type="trade", after_sequence=1,
            before_sequence=3, missed=1, noticed_at=at, **first,
        )  # fmt: skip
        await self.of_workspace(
            "instruments", exchange=mark, name=f"I-{mark}".upper(), last_price="1.5", last_time=at,
            last_message_id=numbers[-1],
        )  # fmt: skip

    async def rest(
        self,
        people: Mapping[Role, UUID],
        groups: Sequence[UUID],
        connectors: Sequence[UUID],
        plan: Plan,
        single: Mapping[str, UUID],
    ) -> None:
        mark, at, owner = self._mark, self._at, people[Role.OWNER]
        await self.of_workspace(
            "invitations", id=single["invitation"], email=f"guest@{mark}.example", role="viewer",
            token_hash=_bytes(mark), invited_by=owner, expires_at=at + timedelta(days=30),
        )  # fmt: skip
        await self.of_workspace(
            "resource_shares", id=single["share"], group_id=groups[0], kind="connector",
            resource_id=connectors[0], access=plan.access,
        )  # fmt: skip
        await self.of_workspace(
            "api_keys", id=single["key"], name=f"name-{mark}", prefix=mark[:8],
            key_hash=_bytes(mark), permissions=[permission.value for permission in plan.key],
            created_by=owner,
        )  # fmt: skip
        await self.of_workspace(
            "secrets", id=single["secret"], name=f"name-{mark}", sealed=_bytes(mark),
            masked=mark, version=1, created_by=owner, updated_by=owner,
        )  # fmt: skip
        await self.of_workspace(
            "audit_events", id=single["event"], chain=self._workspace, sequence=0, at=at,
            user_id=owner, action="createConnector", outcome="done", subject_type="Connector",
            subject_id=str(connectors[0]), changes=[{"field": mark, "before": None, "after": mark}],
            address=mark, agent=mark, request_id=mark, previous_hash="", hash="",
        )  # fmt: skip


def _bytes(mark: str) -> str:
    return "\\x" + hashlib.sha256(mark.encode()).hexdigest()


class Ledger:
    """Digests of all the rows of a tenant, wherever they are."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._query = ""

    async def prepare(self) -> list[str]:
        """Learn the tables; returns their names."""
        tables = await self._database.pool.fetch(_TABLES, list(_COLUMNS))
        self._query = " union all ".join(
            f"select '{table['relname']}' as name, md5(coalesce(string_agg(t::text, '|'"
            f" order by t::text), '')) as digest from {table['relname']} t where "
            + " or ".join(f"{column} = any($1::uuid[])" for column in table["columns"])
            for table in tables
        )
        return [table["relname"] for table in tables]

    async def of(self, tenant: Tenant) -> dict[str, str]:
        """Each table's digest of what is the tenant's."""
        rows = await self._database.pool.fetch(self._query, tenant.uuids)
        return {row["name"]: row["digest"] for row in rows}
