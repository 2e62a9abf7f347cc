"""Sealed columns brought under the newest key, a few rows at a time, beside everything else that goes on."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from infra.postgres.database import Connection
from infra.security.sealed import SealedColumn
from infra.security.vault import KeyVault, is_envelope, key_named

BATCH_ROWS = 200
_SECONDS = 60.0

# The first nine bytes of a blob say its format and its key.
_COUNTED = """
    select substring({column} for 9) as head, count(*) as count
    from {table} where {column} is not null group by 1
"""
_OLD = """
    select {key} as key, {column} as sealed from {table}
    where {column} is not null and substring({column} for 9) <> $1
        and ($2::{key_type} is null or {key} > $2::{key_type})
    order by {key} limit $3
"""
# Compared and swapped: what somebody else changed since it was read stays theirs, for the next round to look at.
_SWAPPED = """
    update {table} t set {column} = fresh.new
    from unnest($1::{key_type}[], $2::bytea[], $3::bytea[]) as fresh(key, old, new)
    where t.{key} = fresh.key and t.{column} = fresh.old
"""


@dataclass(frozen=True, slots=True)
class SealedCount:
    """How many values of a column a key seals; `key_id` None for what is no sealed value."""

    column: SealedColumn
    key_id: str | None
    envelope: bool
    count: int


@dataclass(frozen=True, slots=True)
class Resealed:
    """One batch: how many rows were read, changed, and could not be opened."""

    read: int
    changed: int
    unopened: Sequence[str]


async def counted(
    connection: "Connection | asyncpg.Connection[asyncpg.Record]", columns: Sequence[SealedColumn]
) -> list[SealedCount]:
    """How many values of each column are sealed with which key; nothing is decrypted."""
    found = []
    for column in columns:
        for row in await connection.fetch(_sql(_COUNTED, column), timeout=_SECONDS):
            key_id = key_named(row["head"])
            found.append(SealedCount(column, key_id, is_envelope(row["head"]), row["count"]))
    return found


async def resealed(
    connection: "Connection | asyncpg.Connection[asyncpg.Record]",
    vault: KeyVault,
    column: SealedColumn,
    batch_rows: int = BATCH_ROWS,
) -> AsyncIterator[Resealed]:
    """Bring a column under the newest key, in the order of its rows: each batch is a transaction of its own.

    May be left at any batch and begun again: what is done stays done.
    """
    newest = vault.header
    last: Any = None
    while True:
        rows = await connection.fetch(
            _sql(_OLD, column), newest, last, batch_rows, timeout=_SECONDS
        )
        if not rows:
            return
        last = rows[-1]["key"]
        fresh, unopened = _fresh(vault, column, rows)
        done = "UPDATE 0"
        if fresh:
            done = await connection.execute(
                _sql(_SWAPPED, column),
                [key for key, _, _ in fresh],
                [old for _, old, _ in fresh],
                [new for _, _, new in fresh],
                timeout=_SECONDS,
            )
        yield Resealed(len(rows), int(done.rpartition(" ")[2]), unopened)


def _fresh(
    vault: KeyVault, column: SealedColumn, rows: Sequence[asyncpg.Record]
) -> tuple[list[tuple[Any, bytes, bytes]], list[str]]:
    fresh, unopened = [], []
    for row in rows:
        try:
            new = vault.reseal(row["sealed"], column.associated(row["key"]))
        except ValueError:
            unopened.append(str(row["key"]))
        else:
            fresh.append((row["key"], row["sealed"], new))
    return fresh, unopened


def _sql(statement: str, column: SealedColumn) -> str:
    return statement.format(
        table=column.table, key=column.key, column=column.column, key_type=column.key_type
    )
