"""What the writer can tell of itself."""

from dataclasses import dataclass


@dataclass(slots=True)
class WriterStats:
    """Totals since the start, and what is waiting now; `failing_since` is a monotonic time, None when all is well."""

    queued_rows: int = 0
    queued_bytes: int = 0
    flushes: int = 0
    rows: int = 0
    bytes: int = 0
    flush_seconds: float = 0.0
    retries: int = 0
    shed_messages: int = 0
    shed_frames: int = 0
    fenced_messages: int = 0
    refused_messages: int = 0
    unannounced: int = 0
    failing_since: float | None = None
    last_error: str | None = None
