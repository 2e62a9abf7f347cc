"""Recorded frames from disk: the bundled ones, or a directory of the user's own.

`<feed>.frames.jsonl` holds one WebSocket frame a line, `<feed>.times.jsonl` (optional) the Unix time in seconds
(or null) at which each came, `<feed>.rest.jsonl` one `{"endpoint": path and query, "body": text}` a line.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

FRAMES_LIMIT_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """A frame as it came; `recorded_ns` in Unix nanoseconds when that was noted."""

    text: bytes
    recorded_ns: int | None


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """A REST answer as it came."""

    path: str
    query: dict[str, str]
    body: bytes


class UnusableRecording(ValueError):
    """A recording cannot be replayed; the text names file, line and reason."""


def bundled() -> Traversable:
    """The frames that ship with Penstock."""
    return files("infra.replay") / "frames"


def folder_of(own: Path | None) -> Traversable | Path:
    """The folder to play from: the user's own when given, else the bundled one; raises UnusableRecording."""
    if own is None:
        return bundled()
    if not own.is_dir():
        raise UnusableRecording(f"{own} is no folder")
    return own


def frames(folder: Traversable | Path, feed: str) -> list[RecordedFrame]:
    """The recorded frames of a feed, in order; none when the folder has no recording of it."""
    lines = list(_lines(folder / f"{feed}.frames.jsonl"))
    times = [json.loads(line) for line in _lines(folder / f"{feed}.times.jsonl")]
    if times and len(times) != len(lines):
        raise UnusableRecording(
            f"{feed}.times.jsonl has {len(times)} lines for {len(lines)} frames"
        )
    noted = times or [None] * len(lines)
    return [
        RecordedFrame(line, None if time is None else round(time * 1e9))
        for line, time in zip(lines, noted, strict=True)
    ]


def answers(folder: Traversable | Path, feed: str) -> list[RecordedAnswer]:
    """The recorded REST answers of a feed."""
    recorded = []
    for line in _lines(folder / f"{feed}.rest.jsonl"):
        entry = json.loads(line)
        target = urlsplit(entry["endpoint"])
        recorded.append(
            RecordedAnswer(target.path, dict(parse_qsl(target.query)), entry["body"].encode())
        )
    return recorded


def _lines(file: Traversable) -> Iterator[bytes]:
    if not file.is_file():
        return
    if isinstance(file, Path) and file.stat().st_size > FRAMES_LIMIT_BYTES:
        raise UnusableRecording(f"{file.name} is larger than {FRAMES_LIMIT_BYTES} bytes")
    for line in file.read_bytes().split(b"\n"):
        if line.strip():
            yield line.rstrip(b"\r")
