"""What a writing process tells all others after a commit."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = tuple[Any, ...]
"""A message as the database has it: values in the field order of `domain.messages.Message`."""


@dataclass(slots=True)
class Announcement:
    """One commit of one node: its rows by id, and the node's last id before and after it."""

    node: int
    previous_id: int
    last_id: int
    published_at: datetime
    rows: list[Row]
