"""What one transaction will store: rows, and what to tell of them per connector."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from domain.messages import MessageType, QuarantinedFrame, SequenceGap
from domain.positions import EPOCH_MS, MILLISECOND, Position
from infra.feeds.arrival import Arrival

Row = tuple[Any, ...]
"""A message's values in the field order of `domain.messages.Message`, then its duplicate key."""

MESSAGE_FIELDS = 14
NO_LEASE = -1
"""Epoch of arrivals that no connector's process received: saved by a client, or replayed."""

Mint = Callable[[int], int]


@dataclass(slots=True)
class Share:
    """What one connector, under one lease, has in a batch.

    `received` has the time of each arrival, `told` when the venue said what it brought: the event's own time, or
    that of the arrival where there is none (a candle's is that of its interval).
    """

    workspace_id: UUID
    connector_id: UUID
    epoch: int
    first_id: int = 0
    last_id: int = 0
    messages: int = 0
    size_bytes: int = 0
    received: list[datetime] = field(default_factory=list)
    told: list[datetime] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a job; `repeated` when its key had been used before for `batch_id`."""

    batch_id: int
    message_count: int
    frame_count: int
    repeated: bool
    position: Position


@dataclass(slots=True)
class Job:
    """Marks a batch that somebody waits for: stored as its own transaction, whole or not at all.

    `frame_ids` are the quarantined frames that the batch's arrivals replay, one each; those that are not
    held any more are left out together with their arrivals.
    """

    done: asyncio.Future[JobResult]
    idempotency_key: str | None = None
    digest: bytes | None = None
    frame_ids: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """Arrivals in order, one row per tick; `opened_at` is the loop's time at the first of them.

    `uncertain` means that a COMMIT was sent and its answer not seen.
    """

    opened_at: float
    rows: list[Row] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    refused: list[QuarantinedFrame] = field(default_factory=list)
    weight: int = 0
    size_bytes: int = 0
    closed: bool = False
    uncertain: bool = False
    job: Job | None = None

    def add(self, arrival: Arrival, mint: Mint, milliseconds: int) -> None:
        """Append an arrival, its ids minted for a Unix time in milliseconds."""
        workspace_id, connector_id = arrival.workspace_id, arrival.connector_id
        received_at = arrival.received_at
        append = self.rows.append
        for tick in arrival.ticks:
            side = tick.side
            append(
                (
                    mint(milliseconds),
                    workspace_id,
                    connector_id,
                    tick.exchange,
                    tick.instrument,
                    tick.type._value_,
                    tick.price,
                    tick.quantity,
                    side and side._value_,
                    tick.sequence,
                    tick.event_time,
                    received_at,
                    tick.data,
                    tick.detail,
                    tick.key,
                )
            )
        self.arrivals.append(arrival)

    def mint_again(self, mint: Mint) -> None:
        """Give every row a new id, in the same order and no earlier than its old one."""
        self.rows = [(mint(row[0] // MILLISECOND + EPOCH_MS), *row[1:]) for row in self.rows]

    def remove(self, ids: Collection[int]) -> None:
        """Take out single messages."""
        rows = iter(self.rows)
        kept: list[Row] = []
        for index, arrival in enumerate(self.arrivals):
            own = list(islice(rows, len(arrival.ticks)))
            left = [row for row in own if row[0] not in ids]
            kept += left
            if len(left) < len(own):
                ticks = zip(arrival.ticks, own, strict=True)
                self.arrivals[index] = replace(
                    arrival, ticks=[tick for tick, row in ticks if row[0] not in ids]
                )
        self.rows = kept

    def keep(self, wanted: Callable[[int, Arrival], bool]) -> int:
        """Leave out whole arrivals by index and content; returns how many messages went with them."""
        before = len(self.rows)
        rows = iter(self.rows)
        kept: list[Row] = []
        arrivals: list[Arrival] = []
        for index, arrival in enumerate(self.arrivals):
            own = list(islice(rows, len(arrival.ticks)))
            if wanted(index, arrival):
                kept += own
                arrivals.append(arrival)
        self.rows, self.arrivals = kept, arrivals
        return before - len(kept)

    def shares(self) -> list[Share]:
        """The batch by connector and lease; connectors without messages have a share too."""
        shares: dict[tuple[UUID, int], Share] = {}
        share: Share | None = None
        rows, end = self.rows, 0
        for arrival in self.arrivals:
            if (
                share is None
                or share.connector_id is not arrival.connector_id
                or share.epoch != arrival.epoch
            ):
                key = (arrival.connector_id, arrival.epoch)
                share = shares.get(key)
                if share is None:
                    share = shares[key] = Share(arrival.workspace_id, *key)
            count = len(arrival.ticks)
            if count:
                if not share.messages:
                    share.first_id = rows[end][0]
                end += count
                share.last_id = rows[end - 1][0]
                share.messages += count
                share.size_bytes += arrival.frame_bytes
                share.received.append(arrival.received_at)
                newest = arrival.ticks[-1]
                told = None if newest.type is MessageType.CANDLE else newest.event_time
                share.told.append(told or arrival.received_at)
        return list(shares.values())

    def frames(self) -> list[QuarantinedFrame]:
        """Frames for quarantine, messages that the database refused included."""
        frames = [arrival.quarantined for arrival in self.arrivals if arrival.quarantined]
        return frames + self.refused if self.refused else frames

    def gaps(self) -> list[SequenceGap]:
        """Holes in the venues' sequences that the arrivals showed."""
        return [gap for arrival in self.arrivals if arrival.gaps for gap in arrival.gaps]

    def newest(self) -> Iterator[Row]:
        """Of every instrument the newest row that has a price, else the newest."""
        newest: dict[tuple[str, str, UUID], Row] = {
            (row[4], row[3], row[1]): row for row in self.rows
        }
        newest |= {(row[4], row[3], row[1]): row for row in self.rows if row[6] is not None}
        return iter(newest.values())
