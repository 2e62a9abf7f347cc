"""Quarantined frames, read again after a fix."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from loguru import logger

from domain.connectors import Vault, Venue, unsealed
from domain.errors import NotFound
from domain.identity import Viewer
from domain.messages import CannotNormalise, ReplayedQuarantine, Tick
from domain.positions import first_id_at
from infra.feeds.arrival import Arrival
from infra.feeds.receiver import source_of
from infra.postgres.tenancy import Bound, Tenancy
from infra.postgres.writable import writable
from infra.postgres.writer import NO_LEASE, BatchWriter, Job, JobResult, LeasesMoved
from infra.postgres.writer.faults import is_refused

REPLAY_LIMIT = 1000
IDS_AT_ONCE = 1000
FRAMES_AT_ONCE = 20
MESSAGES_NEAR = 10_000
REPLAY_SECONDS = 30.0
REPLAY_BUDGET_SECONDS = 20.0

Normalise = Callable[[Venue, bytes, str, dict[str, Any] | None], list[Tick]]

_HELD = """
    select id, received_at from quarantined_frames
    where workspace_id = $1 and connector_id = $2 and state = 'held'
        and ($3::uuid[] is null or id = any($3))
        and ($4::timestamptz is null or (received_at, id) > ($4, $5::uuid))
    order by received_at, id limit $6
"""
_FRAMES = """
    select id, received_at, source, frame from quarantined_frames
    where id = any($1::uuid[]) order by received_at, id
"""
# What a frame says may be stored already: by another of its time, or by the first that came after the fix.
_STORED = """
    select key from (
        (select key from messages where connector_id = $1 and id < $3 order by id desc limit $4)
        union all
        (select key from messages where connector_id = $1 and id >= $3 order by id limit $4)
        union all
        (select key from messages where connector_id = $1 order by id desc limit $4)
    ) near
    where key = any($2::text[])
"""


class Quarantine:
    """Replays frames through the writer; each becomes REPLAYED in the transaction that stores its messages."""

    def __init__(
        self,
        databases: Tenancy,
        writer: BatchWriter,
        normalise: Normalise,
        vault: Vault,
    ) -> None:
        self._databases = databases
        self._writer = writer
        self._normalise = normalise
        self._vault = vault

    async def replay(
        self, viewer: Viewer, connector_id: UUID, ids: Sequence[UUID] | None = None
    ) -> ReplayedQuarantine:
        """Normalise held frames of a connector and store what they say: `ids`, or oldest first.

        Ends when 1,000 became REPLAYED, all were tried, or 20 seconds have passed. Raises NotFound for a connector the
        viewer may not see, Forbidden for one they may not write to; frames that are not held any more are passed over.
        """
        seen_by = self._databases.seen_by(viewer)
        async with seen_by.acquire() as connection:
            connector = await writable(connection, viewer, connector_id)
        parameters = self._parameters(connector_id, connector["sealed"])
        replayed = stored = tried = 0
        seen: set[str] = set()
        began = monotonic()
        async for held in self._held(viewer, connector_id, ids):
            async with seen_by.acquire() as connection:
                frames = await connection.fetch(_FRAMES, held, timeout=REPLAY_SECONDS)
            said = await self._read(connector, parameters, frames)
            seen |= await self._stored(seen_by, connector_id, said)
            readable = [
                (frame["id"], _arrival(viewer, connector_id, frame, ticks, seen))
                for frame, ticks in said[: REPLAY_LIMIT - replayed]
            ]
            tried += len(held)
            for result in await self._store(connector_id, readable):
                replayed += result.frame_count
                stored += result.message_count
            if replayed >= REPLAY_LIMIT or monotonic() - began >= REPLAY_BUDGET_SECONDS:
                break
        return ReplayedQuarantine(replayed, stored, tried - replayed)

    async def _held(
        self, viewer: Viewer, connector_id: UUID, ids: Sequence[UUID] | None
    ) -> AsyncIterator[list[UUID]]:
        """Ids of held frames, oldest first, a few at once; what is passed does not come again."""
        received_at: datetime | None = None
        last: UUID | None = None
        while True:
            async with self._databases.seen_by(viewer).acquire() as connection:
                rows = await connection.fetch(
                    _HELD,
                    viewer.workspace_id,
                    connector_id,
                    None if ids is None else list(ids),
                    received_at,
                    last,
                    IDS_AT_ONCE,
                    timeout=REPLAY_SECONDS,
                )
            if not rows:
                return
            for start in range(0, len(rows), FRAMES_AT_ONCE):
                yield [row["id"] for row in rows[start : start + FRAMES_AT_ONCE]]
            received_at, last = rows[-1]["received_at"], rows[-1]["id"]

    def _parameters(self, connector_id: UUID, sealed: bytes | None) -> Mapping[str, str]:
        """The connector's secret query parameters: an answer may be about an instrument that only they name."""
        try:
            secrets = unsealed(self._vault, connector_id, sealed)
        except ValueError:
            logger.warning("No key of the ring opens the secrets of connector {}", connector_id)
            return {}
        return secrets.query_parameters

    async def _read(
        self,
        connector: asyncpg.Record,
        parameters: Mapping[str, str],
        frames: Sequence[asyncpg.Record],
    ) -> list[tuple[asyncpg.Record, list[Tick]]]:
        """What the frames say, those left out that are still not understood."""
        venue = Venue(connector["venue"])
        mapping = None if connector["mapping"] is None else orjson.loads(connector["mapping"])
        said = []
        for frame in frames:
            await asyncio.sleep(0)  # frames are large, and reading one does not pause
            source = source_of(frame["source"] or connector["url"], parameters)
            try:
                said.append((frame, self._normalise(venue, frame["frame"], source, mapping)))
            except CannotNormalise:
                continue
            except Exception as error:  # noqa: BLE001 - a normaliser's bug holds its frame, not those behind it
                logger.opt(exception=error).error("A normaliser failed on a quarantined frame")
        return said

    async def _stored(
        self,
        seen_by: Bound,
        connector_id: UUID,
        said: Sequence[tuple[asyncpg.Record, list[Tick]]],
    ) -> set[str]:
        """Which of the frames' keys are stored, among the messages around their time and the newest."""
        keys = {tick.key for _, ticks in said for tick in ticks if tick.key is not None}
        if not keys:
            return set()
        came_at = first_id_at(min(frame["received_at"] for frame, _ in said))
        async with seen_by.acquire() as connection:
            rows = await connection.fetch(
                _STORED, connector_id, list(keys), came_at, MESSAGES_NEAR, timeout=REPLAY_SECONDS
            )
        return {row["key"] for row in rows}

    async def _store(
        self, connector_id: UUID, frames: list[tuple[UUID, Arrival]]
    ) -> list[JobResult]:
        """Store frames together; one by one when the database refuses something of one of them."""
        if not frames:
            return []
        job = Job(
            asyncio.get_running_loop().create_future(),
            frame_ids=[frame_id for frame_id, _ in frames],
        )
        try:
            async with asyncio.timeout(REPLAY_SECONDS):
                return [await self._writer.submit([arrival for _, arrival in frames], job)]
        except LeasesMoved:
            raise NotFound(field="connectorId", id=str(connector_id)) from None
        except Exception as error:
            if not is_refused(error):
                raise
        if len(frames) == 1:
            return []
        return [result for frame in frames for result in await self._store(connector_id, [frame])]


def _arrival(
    viewer: Viewer,
    connector_id: UUID,
    frame: asyncpg.Record,
    ticks: Sequence[Tick],
    seen: set[str],
) -> Arrival:
    """A frame's ticks without those whose key was seen; their keys are seen from now on."""
    fresh = [tick for tick in ticks if tick.key is None or tick.key not in seen]
    seen.update(tick.key for tick in ticks if tick.key is not None)
    return Arrival(
        workspace_id=viewer.workspace_id,
        connector_id=connector_id,
        epoch=NO_LEASE,
        received_at=frame["received_at"],
        ticks=fresh,
        frame_bytes=len(frame["frame"]),
    )
