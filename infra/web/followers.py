"""How many subscriptions one viewer has open in this process, however they came."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from graphql import GraphQLError

from domain.identity import Caller
from infra.web.limits import RATE_LIMITED, identity
from infra.web.operations import RequestRefused


class Followers:
    """Counts open subscriptions of each user, key, or address without either."""

    def __init__(self, most_of_one: int = 2_000) -> None:
        self._most = most_of_one
        self._open: Counter[str] = Counter()
        self.refused = 0

    @contextmanager
    def following(self, caller: Caller) -> Iterator[None]:
        """One subscription more while it lasts; raises RequestRefused when its caller has too many."""
        who = identity(caller)
        if self._open[who] >= self._most:
            self.refused += 1
            message = f"At most {self._most} subscriptions at a time for one caller"
            extensions = {"code": RATE_LIMITED, "limit": self._most}
            raise RequestRefused([GraphQLError(message, extensions=extensions)])
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]
