"""How long to wait before trying again: exponential, full jitter, capped."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_RETRY_AFTER_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits drawn evenly from 0 to min(cap, base * 2^attempt) seconds ("full jitter")."""

    base_seconds: float = 0.5
    cap_seconds: float = 60.0

    def seconds(self, attempt: int, random: Callable[[], float]) -> float:
        """The wait before try number `attempt` (from 0); `random` gives a number in [0, 1)."""
        return random() * min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt, 32))


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds or a date); None when it says nothing.

    At most a day: a source cannot silence a connector for ever by mistake.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
