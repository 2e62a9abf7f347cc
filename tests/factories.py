"""Makers of valid things; a test says only what it is about."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.connectors import Connector, ConnectorProtocol, Venue
from domain.identity import (
    Access,
    ApiKey,
    Group,
    GroupMember,
    Member,
    ResourceKind,
    ResourceShare,
    Role,
    User,
    Workspace,
)
from domain.messages import Message, MessageBatchRecord, MessageType, Side, Tick
from domain.positions import Minter, node_of, time_of
from infra.postgres.database import Database
from infra.postgres.partitions import Partitions
from infra.system import RandomIds

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOME_WORKSPACE_ID = UUID("01900000-0000-7000-8000-000000000001")
OWNER_ID = UUID("01900000-0000-7000-8000-000000000002")
"""Who owns HOME_WORKSPACE_ID; both are in every migrated database that a test gets."""
COLUMNS: tuple[str, ...] = Message.__slots__  # type: ignore[attr-defined]


class FixedClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> None:
        self.time += timedelta(**by)


def new_id() -> UUID:
    return RandomIds().new()


def workspace(**values: Any) -> Workspace:
    return Workspace(
        **{"id": new_id(), "name": "Elsewhere", "created_at": NOW, "updated_at": NOW, **values}
    )


def user(**values: Any) -> User:
    id = values.get("id", new_id())
    return User(
        **{
            "id": id,
            "email": f"{id}@example.com",
            "name": "Somebody",
            "email_verified_at": NOW,
            "created_at": NOW,
            "updated_at": NOW,
            **values,
        }
    )


def member(workspace_id: UUID, user_id: UUID, role: Role = Role.OWNER) -> Member:
    return Member(workspace_id=workspace_id, user_id=user_id, role=role, created_at=NOW)


def group(workspace_id: UUID, **values: Any) -> Group:
    id = values.get("id", new_id())
    return Group(
        **{
            "id": id,
            "workspace_id": workspace_id,
            "name": f"group {id}",
            "created_at": NOW,
            "updated_at": NOW,
            **values,
        }
    )


def group_member(group: Group, user_id: UUID) -> GroupMember:
    return GroupMember(
        group_id=group.id, user_id=user_id, workspace_id=group.workspace_id, created_at=NOW
    )


def share(
    group: Group, resource_id: UUID, access: Access = Access.READ, **values: Any
) -> ResourceShare:
    return ResourceShare(
        **{
            "id": new_id(),
            "workspace_id": group.workspace_id,
            "group_id": group.id,
            "kind": ResourceKind.CONNECTOR,
            "resource_id": resource_id,
            "access": access,
            "created_at": NOW,
            **values,
        }
    )


def api_key(workspace_id: UUID, created_by: UUID, **values: Any) -> ApiKey:
    id = values.get("id", new_id())
    return ApiKey(
        **{
            "id": id,
            "workspace_id": workspace_id,
            "created_by": created_by,
            "name": f"key {id}",
            "prefix": id.hex[:8],
            "key_hash": id.bytes * 2,
            "permissions": ["read_data"],
            "created_at": NOW,
            **values,
        }
    )


def connector(**values: Any) -> Connector:
    id = values.get("id", new_id())
    return Connector(
        **{
            "id": id,
            "workspace_id": HOME_WORKSPACE_ID,
            "name": f"connector {id}",
            "url": "wss://stream.binance.com:9443/ws/btcusdt@trade",
            "protocol": ConnectorProtocol.WEBSOCKET,
            "venue": Venue.BINANCE,
            "created_at": NOW,
            "updated_at": NOW,
            **values,
        }
    )


def tick(**values: Any) -> Tick:
    return Tick(
        **{
            "exchange": "binance",
            "instrument": "BTC-USDT",
            "type": MessageType.TRADE,
            "price": Decimal("64000.10"),
            "quantity": Decimal("0.5"),
            "side": Side.BUY,
            "sequence": None,
            "event_time": NOW,
            "data": '{"e":"trade"}',
            **values,
        }
    )


def message_id(moment: datetime = NOW, node: int = 0, sequence: int = 0) -> int:
    """The id that a node mints at a time."""
    return Minter(node).mint(int(moment.timestamp() * 1000)) + sequence


def message(**values: Any) -> Message:
    """A message; its id and receive time agree unless both are given."""
    received_at = values.get("received_at", NOW)
    return Message(
        **{
            "id": message_id(received_at),
            "workspace_id": HOME_WORKSPACE_ID,
            "connector_id": UUID(int=7),
            "exchange": "binance",
            "instrument": "BTC-USDT",
            "type": MessageType.TRADE,
            "price": Decimal("64000.10"),
            "quantity": Decimal("0.5"),
            "side": Side.BUY,
            "sequence": None,
            "event_time": received_at,
            "received_at": received_at,
            "data": '{"e": "trade"}',
            "detail": None,
            **values,
        }
    )


def messages(count: int, *, node: int = 0, start: datetime = NOW, **values: Any) -> list[Message]:
    """`count` messages of one node, a millisecond apart."""
    moments = (start + timedelta(milliseconds=number) for number in range(count))
    return [
        message(**{"id": message_id(moment, node), "received_at": moment, **values})
        for moment in moments
    ]


def row(message: Message) -> tuple[Any, ...]:
    """The message as the database has it."""
    values = {name: getattr(message, name) for name in COLUMNS}
    values["type"] = message.type.value
    values["side"] = None if message.side is None else message.side.value
    return tuple(values.values())


async def store(database: Database, messages: Sequence[Message]) -> None:
    """COPY messages as a writer would: with their partitions, and their nodes' last ids."""
    ids = [message.id for message in messages]
    async with database.acquire() as connection, connection.transaction():
        for id in _one_a_day(ids):
            await Partitions(24).ensure_for(connection, id, id)
        await connection.copy_records_to_table(
            "messages", records=[row(message) for message in messages], columns=COLUMNS
        )
        await connection.executemany(
            "insert into nodes (node, last_id) values ($1, $2)"
            " on conflict (node) do update set last_id = greatest(nodes.last_id, excluded.last_id)",
            [(node_of(id), id) for id in ids],
        )


def _one_a_day(ids: Iterable[int]) -> Iterable[int]:
    return {(id >> 22) // 86_400_000: id for id in ids}.values()


async def save(database: Database, *things: Any) -> None:
    """Insert entities."""
    async with database.write() as session:
        session.add_all(things)


def batch(
    id: int, last_id: int | None = None, connector_id: UUID | None = None, count: int = 1
) -> MessageBatchRecord:
    """The record of a commit from its first id to its last."""
    return MessageBatchRecord(
        id=id,
        workspace_id=HOME_WORKSPACE_ID,
        connector_id=new_id() if connector_id is None else connector_id,
        last_id=id if last_id is None else last_id,
        message_count=count,
        byte_count=100 * count,
        first_received_at=time_of(id),
        last_received_at=time_of(id if last_id is None else last_id),
        duration_ms=1.0,
    )
