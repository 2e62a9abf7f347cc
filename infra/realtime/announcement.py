"""What a writing process tells all others after a commit."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

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


class _Wire(msgspec.Struct, array_like=True):
    node: int
    previous_id: int
    last_id: int
    published_at: datetime
    rows: list[
        tuple[
            int,
            UUID,
            UUID,
            str,
            str,
            str,
            Decimal | None,
            Decimal | None,
            str | None,
            str | None,
            datetime | None,
            datetime,
            str,
            str | None,
        ]
    ]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Wire)


def encode(announcement: Announcement) -> bytes:
    """The announcement for other processes; values keep their exact types."""
    return _encoder.encode(
        _Wire(
            announcement.node,
            announcement.previous_id,
            announcement.last_id,
            announcement.published_at,
            announcement.rows,
        )
    )


def decode(payload: bytes) -> Announcement:
    """What `encode` wrote; raises msgspec.MsgspecError for anything else."""
    wire = _decoder.decode(payload)
    return Announcement(
        wire.node, wire.previous_id, wire.last_id, wire.published_at, list(wire.rows)
    )
