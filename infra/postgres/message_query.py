"""SQL over `messages`, written so that every page is an index scan over as few partitions as it needs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from domain.messages import Message, MessageFilter, MessageType, Side
from domain.positions import MAX_ID, NODES, SEQUENCE_BITS, first_id_at

COLUMNS: tuple[str, ...] = (
    "id",
    "workspace_id",
    "connector_id",
    "exchange",
    "instrument",
    "type",
    "price",
    "quantity",
    "side",
    "sequence",
    "event_time",
    "received_at",
    "data",
    "detail",
)
NODE_OF_ID = f"(id >> {SEQUENCE_BITS}) & {NODES - 1}"
# A message gets its id after it was received, at once unless the writer's clock was set back by more than this.
MINTING_DELAY = timedelta(seconds=60)

_TYPES: dict[str | None, Any] = {None: None} | {type.value: type for type in MessageType}
_SIDES: dict[str | None, Side | None] = {None: None} | {side.value: side for side in Side}


@dataclass(slots=True)
class Statement:
    """SQL text and the values of its numbered parameters."""

    text: str = ""
    arguments: list[Any] = field(default_factory=list)

    def value(self, value: Any) -> str:
        """A parameter with this value."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"


def select_messages(
    filter: MessageFilter,
    *,
    ascending: bool,
    limit: int,
    columns: frozenset[str] | None = None,
    above: int = -1,
    below: int = MAX_ID + 1,
    nodes: tuple[Sequence[int], Sequence[int]] | None = None,
) -> Statement:
    """Messages with above < id < below, by id. `nodes`: by node number, the ids after and up to which to take.

    Limit and workspace stand in the text: with parameters in their place, a cached plan would expect a tenth of the
    table, and every workspace to be of the same size, so that a small one's page read all that the others wrote.
    """
    statement = Statement()
    wanted = list(_conditions(statement, filter, above, below))
    if nodes is not None:
        wanted += _within_nodes(statement, nodes)
    order = f"order by id {'asc' if ascending else 'desc'} limit {limit}"
    chosen = _columns(columns)
    branch = _branch(filter)
    if branch is None:
        where = " and ".join(wanted)
        statement.text = f"select {chosen} from messages where {where} {order}"  # noqa: S608
        return statement
    column, type, values = branch
    if len(values) == 1:
        where = " and ".join([f"{column} = {statement.value(values[0])}", *wanted])
        statement.text = f"select {chosen} from messages where {where} {order}"  # noqa: S608
        return statement
    # `= any(...)` would lose the index's order and sort everything; so each value is read by itself.
    where = " and ".join([f"{column} = wanted.value", *wanted])
    statement.text = (
        f"select {', '.join(COLUMNS)}"  # noqa: S608
        f" from unnest({statement.value(values)}::{type}[]) as wanted(value)"
        f" cross join lateral (select {chosen} from messages where {where} {order}) as message"
        f" {order}"
    )
    return statement


def count_messages(filter: MessageFilter) -> Statement:
    """How many messages a filter admits."""
    statement = Statement()
    wanted = list(_conditions(statement, filter, -1, MAX_ID + 1))
    branch = _branch(filter)
    if branch is not None:
        column, type, values = branch
        wanted.append(f"{column} = any({statement.value(values)}::{type}[])")
    statement.text = f"select count(*) from messages where {' and '.join(wanted)}"  # noqa: S608
    return statement


def messages_of(records: Iterable[asyncpg.Record]) -> list[Message]:
    """Messages of records that have all columns in order; columns that were not read are None."""
    types, sides = _TYPES, _SIDES
    return [
        Message(
            id, workspace_id, connector_id, exchange, instrument, types[type], price, quantity,
            sides[side], sequence, event_time, received_at, data, detail,
        )
        for (
            id, workspace_id, connector_id, exchange, instrument, type, price, quantity,
            side, sequence, event_time, received_at, data, detail,
        ) in records
    ]  # fmt: skip


def _columns(columns: frozenset[str] | None) -> str:
    """Every column in order, null in place of those nobody will read."""
    if columns is None:
        return ", ".join(COLUMNS)
    return ", ".join(
        name if name == "id" or name in columns else f"null as {name}" for name in COLUMNS
    )


def _branch(filter: MessageFilter) -> tuple[str, str, list[Any]] | None:
    """The column whose index leads the scan, with its type and values; None for the primary key."""
    if filter.instruments:
        return "instrument", "text", sorted(filter.instruments)
    if filter.connector_ids:
        return "connector_id", "uuid", sorted(filter.connector_ids)
    return None


def _conditions(
    statement: Statement, filter: MessageFilter, above: int, below: int
) -> Iterable[str]:
    yield f"workspace_id = '{UUID(str(filter.workspace_id))}'::uuid"
    if filter.since is not None:
        yield f"received_at >= {statement.value(filter.since)}"
        above = max(above, first_id_at(filter.since) - 1)
    if filter.until is not None:
        yield f"received_at < {statement.value(filter.until)}"
        below = min(below, first_id_at(filter.until + MINTING_DELAY))
    if above >= 0:
        yield f"id > {statement.value(above)}"
    if below <= MAX_ID:
        yield f"id < {statement.value(below)}"
    if filter.instruments and filter.connector_ids:
        yield f"connector_id = any({statement.value(sorted(filter.connector_ids))}::uuid[])"
    if filter.exchanges:
        yield f"exchange = any({statement.value(sorted(filter.exchanges))}::text[])"
    if filter.types:
        types = sorted(type.value for type in filter.types)
        yield f"type = any({statement.value(types)}::text[])"


def _within_nodes(
    statement: Statement, nodes: tuple[Sequence[int], Sequence[int]]
) -> Iterable[str]:
    # Subscripts from 1; a node outside the arrays gives null, which is not true.
    after, upto = (f"{statement.value(list(ids))}::bigint[]" for ids in nodes)
    yield f"id > ({after})[({NODE_OF_ID}) + 1]"
    yield f"id <= ({upto})[({NODE_OF_ID}) + 1]"
