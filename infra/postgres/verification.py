"""Goes through the audit's chains again, without the database's own word for it, and says where they are broken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from uuid import UUID

from domain.audit import SEALED, seal, sealed_text
from infra.postgres.database import Connection

_AT_ONCE: Final = 1000
_HEADS: Final = """
    select coalesce(head.chain, told.chain) as chain, head.sequence, head.hash,
           coalesce(head.anchor_sequence, 0) as anchor_sequence,
           coalesce(head.anchor_hash, '') as anchor_hash, coalesce(told.events, 0) as events
    from audit_chains head
    full join (select chain, count(*) as events from audit_events group by chain) told
        on told.chain = head.chain
    where $1::uuid is null or coalesce(head.chain, told.chain) = $1
    order by 1
"""
_EVENTS: Final = (
    f"select {', '.join(SEALED)}, previous_hash, hash"  # noqa: S608
    " from audit_events where chain = $1 order by sequence, id"
)


class Tampering(Enum):
    """What was done to a chain."""

    EDITED = "edited"
    REMOVED = "removed"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where a chain is broken: the events from `first` to `last`, and how one sees it."""

    kind: Tampering
    first: int
    last: int
    event_id: UUID | None
    seen: str


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain as somebody noted it."""

    sequence: int
    hash: bytes


@dataclass(slots=True)
class Chain:
    """A chain that was gone through: how many events, its end, and what is wrong with it."""

    id: UUID
    events: int
    head: Head
    anchor: Head
    faults: list[Fault] = field(default_factory=list)


async def verify(
    connection: Connection,
    chain: UUID | None = None,
    noted: Mapping[UUID, Head] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sequence[Chain]:
    """Every chain, or one, as one moment has them; `noted` are heads that were kept elsewhere at earlier times.

    `progress` hears how many events of how many are done. Who can change everything in the database can also write
    a whole new chain, with a new head: only a noted head shows that.
    """
    found = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        heads = await connection.fetch(_HEADS, chain)
        total, done = sum(head["events"] for head in heads), 0
        for head in heads:
            walk = _Walk(dict(head), (noted or {}).get(head["chain"]))
            async for event in connection.cursor(_EVENTS, head["chain"], prefetch=_AT_ONCE):
                walk.step(dict(event))
                done += 1
                if done % _AT_ONCE == 0:
                    progress(done, total)
            found.append(walk.end())
        progress(done, total)
        known = {head["chain"] for head in heads}
    for id, kept in (noted or {}).items():
        if id not in known and chain in (None, id):
            gone = Fault(Tampering.REMOVED, 1, kept.sequence, None, "the whole chain is gone")
            found.append(Chain(id, 0, Head(0, b""), Head(0, b""), [gone]))
    return found


class _Walk:
    """One chain, event after event."""

    def __init__(self, row: Mapping[str, Any], noted: Head | None) -> None:
        anchor = Head(row["anchor_sequence"], row["anchor_hash"])
        self._kept = None if row["sequence"] is None else Head(row["sequence"], row["hash"])
        self._noted = noted
        self._last = anchor
        self._chain = Chain(row["chain"], 0, anchor, anchor)

    def step(self, event: Mapping[str, Any]) -> None:
        """Compare an event with its seal, and with the event before it."""
        sequence, expected = event["sequence"], self._last.sequence + 1
        self._chain.events += 1
        if sequence < expected:
            self._blame(
                Tampering.INSERTED, sequence, event["id"], "its number was given out before"
            )
            return
        if sequence > expected:
            self._blame(Tampering.REMOVED, expected, None, "missing", last=sequence - 1)
        elif event["previous_hash"] != self._last.hash:
            self._blame(
                Tampering.EDITED,
                sequence,
                event["id"],
                f"it does not follow on event {expected - 1} as that is now",
            )
        if seal(event["previous_hash"], sealed_text(event)) != event["hash"]:
            self._blame(Tampering.EDITED, sequence, event["id"], "its seal does not fit it")
        elif self._kept is not None and sequence > self._kept.sequence:
            self._blame(Tampering.INSERTED, sequence, event["id"], "it is beyond the chain's end")
        if self._noted is not None and sequence == self._noted.sequence:
            self._compare(self._noted, event["hash"], event["id"])
        self._last = Head(sequence, event["hash"])

    def end(self) -> Chain:
        """The chain, after its last event."""
        kept, last, noted = self._kept, self._last, self._noted
        if kept is None:
            self._blame(Tampering.REMOVED, last.sequence, None, "the record of the chain's end")
        elif kept.sequence > last.sequence:
            self._blame(
                Tampering.REMOVED, last.sequence + 1, None, "missing at the end", last=kept.sequence
            )
        elif kept.sequence == last.sequence and kept.hash != last.hash:
            self._blame(Tampering.EDITED, last.sequence, None, "the end is not as it was recorded")
        if noted is not None and noted.sequence > last.sequence:
            self._blame(
                Tampering.REMOVED,
                last.sequence + 1,
                None,
                "missing: noted earlier",
                last=noted.sequence,
            )
        elif noted is not None and noted.sequence == self._chain.anchor.sequence:
            self._compare(noted, self._chain.anchor.hash, None)
        self._chain.head = last
        return self._chain

    def _compare(self, noted: Head, hash: bytes, id: UUID | None) -> None:
        if noted.hash != hash:
            self._blame(Tampering.EDITED, noted.sequence, id, "it is not as it was noted earlier")

    def _blame(
        self, kind: Tampering, first: int, id: UUID | None, seen: str, last: int | None = None
    ) -> None:
        self._chain.faults.append(Fault(kind, first, first if last is None else last, id, seen))
