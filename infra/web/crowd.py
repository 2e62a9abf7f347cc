"""How many sockets and streams of events are open, for all and for one viewer, and how fast a socket may talk."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

WINDOW_SECONDS: Final = 60.0


class TooMany(Exception):
    """There is no room for this socket; the text says why."""


class Crowd:
    """Counts the sockets and streams of a process, all as sockets."""

    def __init__(self, most: int = 10_000, most_of_one: int = 1_000) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._of_one: Counter[str] = Counter()
        self._open = 0
        self.refused = 0

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """Room for one socket more; raises TooMany when there is none."""
        if self._open >= self._most:
            self.refused += 1
            raise TooMany("Too many sockets are open here")
        self._open += 1
        place = Place(self)
        try:
            yield place
        finally:
            self._open -= 1
            place.leave()

    def take(self, who: str) -> None:
        """Count a socket as somebody's; raises TooMany when they have too many."""
        if self._of_one[who] >= self._most_of_one:
            self.refused += 1
            raise TooMany("Too many sockets are open for this caller")
        self._of_one[who] += 1

    def give_back(self, who: str) -> None:
        """Count one of somebody's sockets no longer."""
        self._of_one[who] -= 1
        if not self._of_one[who]:
            del self._of_one[who]


class Place:
    """One socket's place: nobody's until it is told whose."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._who: str | None = None

    def belongs_to(self, who: str) -> None:
        """The socket is this viewer's from now on; raises TooMany."""
        if who == self._who:
            return
        self._crowd.take(who)
        self.leave()
        self._who = who

    def leave(self) -> None:
        """The socket is nobody's any more."""
        if self._who is not None:
            self._crowd.give_back(self._who)
            self._who = None


class Pace:
    """How many messages one socket has sent in its minute."""

    def __init__(self, most: int = 6_000) -> None:
        self._most = most
        self._count = 0
        self._ends = 0.0

    def too_fast(self) -> bool:
        """Whether the message that came just now is one too many."""
        now = monotonic()
        if now >= self._ends:
            self._count, self._ends = 0, now + WINDOW_SECONDS
        self._count += 1
        return self._count > self._most
