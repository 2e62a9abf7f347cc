"""Where the database keeps what the vault sealed: the one list that rotation, status and doctor go by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of blobs; `associated` makes of a row's key what its blob was sealed with, `label` names it."""

    table: str
    key: str
    key_type: str
    column: str
    associated: Callable[[Any], bytes]
    label: str = "id"

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


def _uuid(table: str, column: str, key: str = "id", label: str = "name") -> SealedColumn:
    return SealedColumn(table, key, "uuid", column, lambda value: value.bytes, label)


SEALED: Final = (
    _uuid("connectors", "sealed"),
    _uuid("secrets", "sealed"),
    _uuid("credentials", "totp_sealed", key="user_id", label="user_id"),
    SealedColumn("signing_keys", "id", "text", "sealed", str.encode),
)
"""Every sealed column. A context that seals something adds its line."""
