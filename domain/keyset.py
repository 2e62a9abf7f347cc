"""Keyset pages of entities: as fast at the end of a list as at its beginning, steady while rows come and go."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlmodel import func, select
from sqlmodel.sql.expression import SelectOfScalar

from domain.errors import InvalidInput
from domain.paging import Page, Window, page
from domain.ports import Database

T = TypeVar("T")
Key = int | UUID


@dataclass(frozen=True)
class Keyset(Generic[T]):
    """Pages of `T` by a unique key (a UUID or a number), largest first unless told otherwise."""

    kind: type[Key]
    column: Any
    key_of: Callable[[T], Key]
    newest_first: bool = True

    async def page(
        self, database: Database, statement: SelectOfScalar[T], window: Window
    ) -> Page[T]:
        """A page of what `statement` selects; raises InvalidInput for a cursor that is none."""

        async def count() -> int:
            async with database.read() as session:
                counted = select(func.count()).select_from(statement.subquery())
                return await session.scalar(counted) or 0

        limited = self._within(statement, window).limit(window.size + 1)
        async with database.read() as session:
            items = list(await session.exec(limited))
        return page(items, window, lambda item: encode(self.key_of(item)), count)

    def _within(self, statement: SelectOfScalar[T], window: Window) -> SelectOfScalar[T]:
        if window.after is not None:
            key = decode(self.kind, window.after, "after")
            statement = statement.where(
                self.column < key if self.newest_first else self.column > key
            )
        if window.before is not None:
            key = decode(self.kind, window.before, "before")
            statement = statement.where(
                self.column > key if self.newest_first else self.column < key
            )
        descending = self.newest_first is not window.backward
        return statement.order_by(self.column.desc() if descending else self.column.asc())


def encode(key: Key) -> str:
    """A key as an opaque cursor."""
    raw = key.bytes if isinstance(key, UUID) else key.to_bytes(8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(kind: type[Key], cursor: str, field: str) -> Key:
    """The key in a cursor; raises InvalidInput naming the argument."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(field=field, reason="is not a cursor of this list") from error
    if kind is UUID and len(raw) == 16:
        return UUID(bytes=raw)
    if kind is int and len(raw) == 8 and raw[0] <= 0x7F:
        return int.from_bytes(raw, "big")
    raise InvalidInput(field=field, reason="is not a cursor of this list")
