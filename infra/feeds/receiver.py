"""From a received frame to the writer: normalised, freed of what was seen before, its holes noted."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Protocol

import httpx
from loguru import logger

from domain.connectors import Connector, Secrets, Venue, credential_forms
from domain.messages import (
    CannotNormalise,
    QuarantinedFrame,
    QuarantineReason,
    SequenceGap,
    Tick,
)
from domain.ports import Clock, Ids
from infra.feeds.arrival import Arrival, Intake, Lease
from infra.feeds.sequences import Hole
from infra.feeds.status import StatusKeeper

CONTROL_LIMIT = 4_096
_MASK = b"***"


class Normalise(Protocol):
    """The signature of `infra.feeds.venues.normalise`."""

    def __call__(
        self, venue: Venue, frame: bytes, source: str, mapping: dict[str, Any] | None
    ) -> list[Tick]:
        """The ticks of a frame; raises CannotNormalise."""


def source_of(url: str, query_parameters: Mapping[str, str]) -> str:
    """What a normaliser needs to know of where a frame came from: the URL with its secret parameters. Never show it."""
    if not query_parameters:
        return url
    return str(httpx.URL(url).copy_merge_params(dict(query_parameters)))


def complaint(frame: bytes) -> str | None:
    """What a source says is wrong, in a frame that carries no message; None when it says nothing like that."""
    if b'"error"' not in frame[:CONTROL_LIMIT]:
        return None
    return f"the source says: {frame[:CONTROL_LIMIT].decode(errors='replace')}"


class Receiver:
    """Takes one connector's frames, one after the other."""

    def __init__(
        self,
        connector: Connector,
        secrets: Secrets,
        lease: Lease,
        keeper: StatusKeeper,
        intake: Intake,
        normalise: Callable[..., list[Tick]] | Normalise,
        clock: Clock,
        ids: Ids,
        frame_limit: int,
    ) -> None:
        self.frame_limit = frame_limit
        self._connector_id = connector.id
        self._workspace_id = connector.workspace_id
        self._epoch = lease.epoch
        self._venue = connector.venue
        self._mapping = connector.mapping
        self._url = connector.url
        self._source = source_of(connector.url, secrets.query_parameters)
        self._credentials = [form.encode() for form in credential_forms(secrets)]
        self._sequences = keeper.sequences
        self._keeper = keeper
        self._intake = intake
        self._normalise = normalise
        self._clock = clock
        self._ids = ids
        self._held: tuple[object, ...] | None = None  # what tells the last frame in quarantine
        self._repeats = 0

    async def take(self, frame: bytes) -> int:
        """Hand a frame's new messages to the writer, waiting while it is full; returns how many messages it carried."""
        received_at = self._clock.now()
        frame = self._hidden(frame)
        try:
            ticks = self._normalise(self._venue, frame, self._source, self._mapping)
        except CannotNormalise as problem:
            await self._quarantine(
                frame, len(frame), problem.reason, problem.explanation, received_at
            )
            self._note_complaint(frame)
            return 0
        except Exception as error:  # noqa: BLE001 - a normaliser's bug must cost one frame, not the connector
            logger.opt(exception=error).error("A normaliser failed on a frame")
            explanation = f"the normaliser failed: {type(error).__name__}"
            await self._quarantine(
                frame, len(frame), QuarantineReason.UNEXPECTED, explanation, received_at
            )
            return 0
        if not ticks:
            self._note_complaint(frame)
            return 0
        await self._store(_oldest_first(ticks), len(frame), received_at)
        return len(ticks)

    async def take_too_large(self, kept: bytes, size: int, limit: int) -> None:
        """Quarantine what was kept of a frame that is larger than `limit` bytes; `size` is its own, as far as it is known."""
        explanation = f"{size} bytes are more than the limit of {limit}"
        await self._quarantine(
            self._hidden(kept[: self.frame_limit]),
            size,
            QuarantineReason.TOO_LARGE,
            explanation,
            self._clock.now(),
        )

    async def _store(self, ticks: list[Tick], size: int, received_at: datetime) -> None:
        keeper = self._keeper
        keeper.last_message_at = received_at
        admission = self._sequences.admit(ticks)
        if admission.duplicates:
            keeper.duplicates += admission.duplicates
        gaps = []
        if admission.holes:
            keeper.gaps += len(admission.holes)
            gaps = [self._gap(hole, received_at) for hole in admission.holes]
        fresh = admission.ticks
        if not fresh:
            return
        arrival = Arrival(
            self._workspace_id,
            self._connector_id,
            self._epoch,
            received_at,
            fresh,
            size,
            None,
            gaps,
        )
        keeper.pending += len(fresh)
        try:
            await self._intake.put(arrival)
        except asyncio.CancelledError:
            keeper.gave_up(fresh, 0)
            raise

    async def _quarantine(
        self,
        frame: bytes,
        size: int,
        reason: QuarantineReason,
        explanation: str,
        received_at: datetime,
    ) -> None:
        kept = frame[: self.frame_limit]
        if self._is_repeat(kept, size, reason):
            self._keeper.quarantined += 1
            self._keeper.note(f"the same frame again ({self._repeats} times): {explanation}")
            return
        quarantined = QuarantinedFrame(
            id=self._ids.new(),
            workspace_id=self._workspace_id,
            connector_id=self._connector_id,
            received_at=received_at,
            reason=reason,
            explanation=self._keeper.clean(explanation),
            source=self._url,
            frame=kept,
            frame_bytes=size,
        )
        self._keeper.quarantined += 1
        self._keeper.note(f"a frame went to quarantine: {explanation}")
        await self._intake.put(
            Arrival(
                self._workspace_id,
                self._connector_id,
                self._epoch,
                received_at,
                [],
                size,
                quarantined,
            )
        )

    def _is_repeat(self, kept: bytes, size: int, reason: QuarantineReason) -> bool:
        """Whether quarantine has the frame already, as the last: a wrong answer polled every second would fill the disk."""
        # What was given up since may have been that frame: then it is kept again.
        told = (blake2b(kept).digest(), size, reason, self._keeper.shed)
        self._repeats = self._repeats + 1 if told == self._held else 0
        self._held = told
        return self._repeats > 0

    def _hidden(self, frame: bytes) -> bytes:
        """The frame as it came, unless the source echoes what it must not tell."""
        for credential in self._credentials:
            if credential in frame:
                frame = frame.replace(credential, _MASK)
        return frame

    def _note_complaint(self, frame: bytes) -> None:
        said = complaint(frame)
        if said is not None:
            self._keeper.note(said)

    def _gap(self, hole: Hole, noticed_at: datetime) -> SequenceGap:
        return SequenceGap(
            id=self._ids.new(),
            workspace_id=self._workspace_id,
            connector_id=self._connector_id,
            instrument=hole.instrument,
            type=hole.type,
            after_sequence=hole.after,
            before_sequence=hole.before,
            missed=hole.before - hole.after - 1,
            noticed_at=noticed_at,
        )


def _oldest_first(ticks: list[Tick]) -> list[Tick]:
    """The order in which they happened: some venues list the newest first, and ids follow the order stored."""
    if len(ticks) < 2:
        return ticks
    dated = [(tick.event_time, tick) for tick in ticks if tick.event_time is not None]
    if len(dated) < len(ticks):
        return ticks
    if dated[0][0] > dated[-1][0]:
        dated.reverse()  # those of one moment too
    return [tick for _, tick in sorted(dated, key=itemgetter(0))]
