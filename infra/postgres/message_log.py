"""The stored stream, read: pages for queries, replays for subscriptions, rows for healing."""

import binascii
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import orjson

from domain.errors import InvalidInput
from domain.identity import Viewer
from domain.messages import (
    Instrument,
    InstrumentFilter,
    Message,
    MessageFilter,
    MessageOrder,
    MessagePage,
)
from domain.paging import Page, Window, page
from domain.positions import MAX_ID, MILLISECOND, Position
from infra.postgres.database import Connection, Source
from infra.postgres.message_query import (
    COLUMNS,
    NODE_OF_ID,
    Statement,
    count_messages,
    messages_of,
    select_messages,
)
from infra.realtime.announcement import Row
from infra.realtime.archive import DroppedMeanwhile

REPLAY_CHUNK = 1000
_MAY_READ = "select $1 = any(penstock_workspaces('read_data'))"
_NEAR = 60_000 * MILLISECOND
_EDGE = b"m"

# One commit has at most one batch row per connector; all its ids lie between the least and the greatest of them.
_FIRST_UNSEEN = f"""
    select min(id) from (
        select id from message_batches
        where {NODE_OF_ID} = $1 and last_id > $2
        order by last_id limit 5000
    ) as next
"""  # noqa: S608
_ROWS_BETWEEN = f"""
    select {", ".join(COLUMNS)} from messages
    where {NODE_OF_ID} = $1 and id > $2 and id > coalesce(({_FIRST_UNSEEN}) - 1, $2) and id <= $3
    order by id limit $4
"""  # noqa: S608


class PostgresMessageLog:
    """The reading half of `domain.messages.MessageLog`, and what the live stream needs of the archive."""

    def __init__(self, database: Source) -> None:
        self._database = database

    async def page(
        self,
        filter: MessageFilter,
        order: MessageOrder,
        window: Window,
        columns: frozenset[str] | None = None,
    ) -> Page[Message]:
        """A page by id; raises InvalidInput for a cursor that is none. `columns`: those that will be read."""
        statement = _page_statement(filter, order, window, columns)
        async with self._database.acquire() as connection:
            return await self._page(connection, statement, filter, window)

    async def snapshot(
        self,
        filter: MessageFilter,
        order: MessageOrder,
        window: Window,
        columns: frozenset[str] | None = None,
    ) -> MessagePage:
        """A page as `page` gives it, and the position of the very snapshot it was read from."""
        statement = _page_statement(filter, order, window, columns)
        async with self._database.snapshot() as connection:
            found = await self._page(connection, statement, filter, window)
            return MessagePage(found, await _position(connection))

    async def count(self, filter: MessageFilter) -> int:
        """How many messages the filter admits."""
        statement = count_messages(filter)
        async with self._database.acquire() as connection:
            counted: int = await connection.fetchval(statement.text, *statement.arguments)
            return counted

    async def by_ids(self, viewer: Viewer, ids: Sequence[int]) -> dict[int, Message]:
        """The viewer's messages with these ids."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(
                f"select {', '.join(COLUMNS)} from messages"  # noqa: S608
                " where id = any($1::bigint[]) and workspace_id = $2",
                list(ids),
                viewer.workspace_id,
            )
        return {message.id: message for message in messages_of(records)}

    async def instruments(self, filter: InstrumentFilter, window: Window) -> Page[Instrument]:
        """A page by exchange, then name; raises InvalidInput for a cursor that is none."""
        statement = _instruments_statement(filter, window)
        async with self._database.acquire() as connection:
            records = await connection.fetch(statement.text, *statement.arguments)

        async def count() -> int:
            counting = Statement()
            where = " and ".join(_instrument_conditions(counting, filter))
            async with self._database.acquire() as connection:
                counted: int = await connection.fetchval(
                    f"select count(*) from instruments where {where}",  # noqa: S608
                    *counting.arguments,
                )
                return counted

        return page([Instrument(*record) for record in records], window, _instrument_cursor, count)

    async def may_read(self, workspace_id: UUID) -> bool:
        """Whether the database shows this workspace's stream to whoever it is read as."""
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(_MAY_READ, workspace_id))

    async def position(self) -> Position:
        """The last committed id of every node, now."""
        async with self._database.acquire() as connection:
            return await _position(connection)

    async def dropped(self) -> Position:
        """The last id of every node that retention has removed."""
        async with self._database.acquire() as connection:
            return await _position(connection, "dropped_id")

    async def rows_between(self, node: int, after: int, upto: int, limit: int) -> list[Row]:
        """Rows of one node with after < id <= upto, by id, at most `limit`."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(_ROWS_BETWEEN, node, after, upto, limit)
        return [tuple(record) for record in records]

    async def replay(
        self,
        filter: MessageFilter,
        after: Position,
        upto: Position,
        chunk: int = REPLAY_CHUNK,
    ) -> AsyncIterator[list[Message]]:
        """Messages past `after` up to `upto`, by id, in chunks; holds no connection between them.

        Raises DroppedMeanwhile when retention removes what was still to come.
        """
        active = {node: id for node, id in upto.last.items() if id > after.of(node)}
        if not active:
            return
        size = max(active) + 1
        bounds = (
            [after.of(node) if node in active else MAX_ID for node in range(size)],
            [active.get(node, 0) for node in range(size)],
        )
        reached = await self._first_unseen(after, active) - 1
        last = max(active.values())
        while reached < last:
            statement = select_messages(
                filter, ascending=True, limit=chunk, above=reached, below=last + 1, nodes=bounds
            )
            async with self._database.acquire() as connection:
                records = await connection.fetch(statement.text, *statement.arguments)
                dropped = await _position(connection, "dropped_id")
            if any(dropped.of(node) > max(after.of(node), reached) for node in active):
                raise DroppedMeanwhile(dropped)
            messages = messages_of(records)
            if messages:
                reached = messages[-1].id
                yield messages
            if len(messages) < chunk:
                return

    async def _first_unseen(self, after: Position, active: dict[int, int]) -> int:
        """An id at or below all that the replay will find, and not far below.

        Where a quiet node's last id is old, starting there would read everything the busy ones wrote since.
        """
        newest = max(after.last.values(), default=0)
        first = MAX_ID
        async with self._database.acquire() as connection:
            for node in active:
                seen = after.of(node)
                if newest - seen > _NEAR:
                    found = await connection.fetchval(_FIRST_UNSEEN, node, seen)
                    seen = seen if found is None else max(seen, found - 1)
                first = min(first, seen + 1)
        return first

    async def _page(
        self, connection: Connection, statement: Statement, filter: MessageFilter, window: Window
    ) -> Page[Message]:
        records = await connection.fetch(statement.text, *statement.arguments)
        return page(
            messages_of(records),
            window,
            lambda message: edge_cursor(message.id),
            lambda: self.count(filter),
        )


def edge_cursor(id: int) -> str:
    """The opaque cursor that leads past a message."""
    return binascii.b2a_base64(_EDGE + id.to_bytes(8, "big"), newline=False).decode()


def edge_id(cursor: str, field: str) -> int:
    """The id in an edge's cursor; raises InvalidInput naming the argument for any other text."""
    try:
        raw = binascii.a2b_base64(cursor, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(field=field, reason="is not a cursor of this list") from error
    id = int.from_bytes(raw[1:], "big")
    if len(raw) != 9 or raw[:1] != _EDGE or id > MAX_ID:
        raise InvalidInput(field=field, reason="is not a cursor of this list")
    return id


async def _position(connection: Connection, column: str = "last_id") -> Position:
    rows = await connection.fetch(f"select node, {column} from nodes where {column} > 0")  # noqa: S608
    return Position({row[0]: row[1] for row in rows})


def _page_statement(
    filter: MessageFilter, order: MessageOrder, window: Window, columns: frozenset[str] | None
) -> Statement:
    newest_first = order is MessageOrder.NEWEST_FIRST
    above, below = -1, MAX_ID + 1
    for cursor, name in ((window.after, "after"), (window.before, "before")):
        if cursor is None:
            continue
        id = edge_id(cursor, name)
        if (name == "after") is newest_first:
            below = min(below, id)
        else:
            above = max(above, id)
    return select_messages(
        filter,
        ascending=newest_first is window.backward,
        limit=window.size + 1,
        columns=columns,
        above=above,
        below=below,
    )


def _instruments_statement(filter: InstrumentFilter, window: Window) -> Statement:
    statement = Statement()
    wanted = _instrument_conditions(statement, filter)
    for cursor, name, sign in ((window.after, "after", ">"), (window.before, "before", "<")):
        if cursor is not None:
            exchange, instrument = _instrument_key(cursor, name)
            wanted.append(
                f"(exchange, name) {sign} ({statement.value(exchange)}, {statement.value(instrument)})"
            )
    direction = "desc" if window.backward else "asc"
    statement.text = (
        "select exchange, name, last_price, last_time, last_message_id from instruments"  # noqa: S608
        f" where {' and '.join(wanted)}"
        f" order by exchange {direction}, name {direction} limit {window.size + 1}"
    )
    return statement


def _instrument_conditions(statement: Statement, filter: InstrumentFilter) -> list[str]:
    wanted = [f"workspace_id = {statement.value(filter.workspace_id)}"]
    if filter.exchanges:
        wanted.append(f"exchange = any({statement.value(sorted(filter.exchanges))}::text[])")
    if filter.names:
        wanted.append(f"name = any({statement.value(sorted(filter.names))}::text[])")
    if filter.search:
        wanted.append(f"strpos(lower(name), lower({statement.value(filter.search)})) > 0")
    return wanted


def _instrument_cursor(instrument: Instrument) -> str:
    key = orjson.dumps([instrument.exchange, instrument.name])
    return binascii.b2a_base64(b"i" + key, newline=False).decode()


def _instrument_key(cursor: str, field: str) -> tuple[str, str]:
    try:
        raw = binascii.a2b_base64(cursor, strict_mode=True)
        exchange, name = orjson.loads(raw[1:])
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidInput(field=field, reason="is not a cursor of this list") from error
    if raw[:1] != b"i" or not (isinstance(exchange, str) and isinstance(name, str)):
        raise InvalidInput(field=field, reason="is not a cursor of this list")
    return exchange, name
