"""The tape: when each frame is due, for ever, and where a listener stands on it."""

import fnmatch
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from infra.replay.templates import SECOND, Draft, Template, compile_all

EPOCH_NS = (
    1_767_225_600 * SECOND
)  # 2026-01-01: passes are counted from here, whenever the replayer starts
PAUSE_NS = SECOND
UNKNOWN_STEP_NS = SECOND // 10


@dataclass(frozen=True, slots=True)
class Piece:
    """A frame on the tape."""

    template: Template
    streams: tuple[str, ...]
    snapshot: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """When frames come: evenly at `rate` a second, else at the recorded pace times `speed`."""

    speed: float = 1.0
    rate: float | None = None


class Tape:
    """Frames in order, with their offsets in a pass and the pass's length, both in nanoseconds.

    A place on the tape is one number, counting frames through all passes; `divmod(place, len(tape))` gives the
    pass and the frame in it.
    """

    def __init__(self, drafts: Sequence[Draft], timing: Timing, origin_ns: int = EPOCH_NS) -> None:
        templates = compile_all(drafts)
        self.pieces = [
            Piece(template, draft.streams, draft.snapshot)
            for draft, template in zip(drafts, templates, strict=True)
        ]
        self._offsets, self._length = _schedule(drafts, timing)
        self._origin = origin_ns
        self._by_stream: dict[str, list[int]] = {}
        for index, piece in enumerate(self.pieces):
            for stream in piece.streams:
                self._by_stream.setdefault(stream, []).append(index)

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def streams(self) -> list[str]:
        """The names of all streams recorded, in order of their first frame."""
        return list(self._by_stream)

    def selection(self, streams: Sequence[str]) -> list[int]:
        """The frames of these streams, in order."""
        return sorted({index for name in streams for index in self._by_stream.get(name, ())})

    def place_after(self, now_ns: int, origin_ns: int | None = None) -> int:
        """The place of the first frame that is not yet due."""
        origin = self._origin if origin_ns is None else origin_ns
        if not self.pieces or now_ns < origin:
            return 0
        turn, into = divmod(now_ns - origin, self._length)
        return turn * len(self.pieces) + bisect_right(self._offsets, into)

    def due_ns(self, place: int, origin_ns: int | None = None) -> int:
        """When the frame at a place is due, Unix nanoseconds."""
        origin = self._origin if origin_ns is None else origin_ns
        turn, index = divmod(place, len(self.pieces))
        return origin + turn * self._length + self._offsets[index]

    def next_of(self, selection: Sequence[int], place: int) -> int:
        """The first place at or after `place` that holds a frame of a selection, which must not be empty."""
        turn, index = divmod(place, len(self.pieces))
        at = bisect_left(selection, index)
        if at == len(selection):
            return (turn + 1) * len(self.pieces) + selection[0]
        return turn * len(self.pieces) + selection[at]

    def last_of(self, selection: Sequence[int], place: int) -> int | None:
        """The last place before `place` that holds a frame of a selection; None when none came yet."""
        if not selection:
            return None
        turn, index = divmod(place, len(self.pieces))
        at = bisect_left(selection, index)
        if at == 0:
            turn, at = turn - 1, len(selection)
        if turn < 0:
            return None
        return turn * len(self.pieces) + selection[at - 1]

    def render(self, place: int) -> bytes:
        """The frame at a place, as played to everyone."""
        turn, index = divmod(place, len(self.pieces))
        return self.pieces[index].template.render(turn, self.due_ns(place))

    def since_snapshot(self, stream: str, place: int) -> list[int]:
        """The places of a stream's last snapshot before `place` and what followed; none for streams without."""
        indices = self._by_stream.get(stream, [])
        snapshots = [index for index in indices if self.pieces[index].snapshot]
        first = self.last_of(snapshots, place)
        if first is None:
            return []
        laps = range(first // len(self.pieces), place // len(self.pieces) + 1)
        candidates = (lap * len(self.pieces) + index for lap in laps for index in indices)
        return [found for found in candidates if first <= found < place]


def _schedule(drafts: Sequence[Draft], timing: Timing) -> tuple[list[int], int]:
    if timing.rate is not None:
        step = SECOND / timing.rate
        return [int(index * step) for index in range(len(drafts))], max(1, int(len(drafts) * step))
    offsets: list[int] = []
    at, before = 0, None
    for draft in drafts:
        moment = draft.recorded_ns
        if offsets:
            known = moment is not None and before is not None
            step_ns = moment - before if known else UNKNOWN_STEP_NS  # type: ignore[operator]
            at += step_ns if step_ns >= 0 else PAUSE_NS  # back in time: another recording follows
        offsets.append(at)
        before = moment
    scaled = [int(offset / timing.speed) for offset in offsets]
    return scaled, max(1, int((at + PAUSE_NS) / timing.speed))


def kept(draft: Draft, patterns: Sequence[str]) -> bool:
    """Whether a frame stays on a tape cut to these shell patterns (none: every frame stays)."""
    return not patterns or any(
        fnmatch.fnmatchcase(stream, pattern) for stream in draft.streams for pattern in patterns
    )
