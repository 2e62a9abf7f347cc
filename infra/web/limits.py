"""How often a viewer, a key or an address may ask, and what their operations may cost in a minute.

Windows are fixed and begin with the first request, so that `Retry-After` is exact. Sign-ins are also counted by the
hour and the day: an address that goes on trying waits a minute, then an hour, then a day.
"""

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from graphql import GraphQLError, OperationType

from domain.identity import Caller
from infra.web.counters import Counters
from infra.web.operations import Prepared, RequestRefused
from infra.web.selections import field_names
from infra.web.strikes import Strikes, Waits

RATE_LIMITED: Final = "RATE_LIMITED"
MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
SIGN_INS: Final = frozenset(
    {
        "exchangeSignInCode",
        "register",
        "requestPasswordReset",
        "resendVerification",
        "resetPassword",
        "signIn",
        "verifyEmail",
    }
)
"""Mutations with which strangers try passwords and codes, or have mail sent."""

VISITS: Final = 6
"""Pages that signing in elsewhere may take: there, back, and again after a mistake."""

STRIKES: Final = 10
"""One in so many requests may have a document that cannot be executed."""

REFRESH: Final = "refreshSession"
"""Open to strangers as well, but a whole office behind one address calls it every quarter of an hour."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many units in a window; `name` is what clients read in the headers."""

    name: str
    amount: int
    seconds: int = MINUTE
    unit: str = "requests"

    @property
    def policy(self) -> str:
        """The rate as an item of `RateLimit-Policy`."""
        return f'"{self.name}";q={self.amount};w={self.seconds};qu="{self.unit}"'


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of one service."""

    queries: int = 6_000
    mutations: int = 600
    sign_ins: int = 10
    cost: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How a rate stands after a request: what is left of it, and for how many seconds."""

    rate: Rate
    used: int
    seconds: int

    @property
    def left(self) -> int:
        """Units left in this window."""
        return max(self.rate.amount - self.used, 0)

    @property
    def spent(self) -> bool:
        """Whether this request was one too many."""
        return self.used > self.rate.amount


class RateLimits:
    """Counts operations, and refuses those past a rate."""

    def __init__(self, rates: Rates, counters: Counters) -> None:
        self._counters = counters
        self._queries = Rate("queries", rates.queries)
        self._mutations = Rate("mutations", rates.mutations)
        self._refreshes = Rate("refreshes", rates.mutations)
        self._cost = Rate("cost", rates.cost, unit="cost")
        self._credentials = Rate("credentials", rates.queries)
        self._visits = Rate("visits", rates.sign_ins * VISITS)
        self._documents = Rate("documents", max(rates.queries // STRIKES, STRIKES))
        self._strikes = Strikes(self._documents.amount)
        self._waits = Waits()
        self._sign_ins = (
            Rate("sign-ins", rates.sign_ins),
            Rate("sign-ins-hour", rates.sign_ins * 6, HOUR),
            Rate("sign-ins-day", rates.sign_ins * 24, DAY),
        )
        self.refused = 0

    def check(self, caller: Caller) -> None:
        """Raise RequestRefused when a caller sent too many documents that cannot be executed."""
        seconds = self._strikes.out_for(identity(caller))
        if seconds:
            rate = self._documents
            raise self._refusal([Standing(rate, rate.amount + 1, seconds)])

    def strike(self, caller: Caller) -> None:
        """Count a document that cannot be executed."""
        self._strikes.add(identity(caller))

    async def admit(self, prepared: Prepared) -> Headers:
        """Count an operation; gives headers that say what is left, raises RequestRefused past a rate."""
        caller = prepared.caller
        who, address = identity(caller), network(caller.address)
        counted: list[tuple[Rate, str, int]] = []
        if prepared.kind is OperationType.MUTATION:
            fields = _root_fields(prepared)
            tried = sum(name in SIGN_INS for name in fields)
            counted.append((self._mutations, who, len(fields)))
            counted += [(rate, address, tried) for rate in self._sign_ins if tried]
            if REFRESH in fields:
                counted.append((self._refreshes, address, fields.count(REFRESH)))
        else:
            counted.append((self._queries, who, 1))
        counted.append((self._cost, who, prepared.cost))
        if self._counters.shared:
            standings = list(await asyncio.gather(*(self._count(*one) for one in counted)))
        else:
            standings = [await self._count(*one) for one in counted]
        cost = standings[-1]
        prepared.budget = {
            "remaining": cost.left,
            "budget": cost.rate.amount,
            "resetSeconds": cost.seconds,
        }
        if any(standing.spent for standing in standings):
            await self._counters.count(_key(self._cost, who), MINUTE, -prepared.cost)
            raise self._refusal(standings)
        return _headers(standings)

    def check_credentials(self, address: str | None) -> None:
        """Raise RequestRefused when an address was told to send no more credentials for now."""
        if seconds := self._waits.left(network(address)):
            rate = self._credentials
            raise self._refusal([Standing(rate, rate.amount + 1, seconds)])

    async def refused_credential(self, address: str | None) -> None:
        """Count a credential that was no good; raises RequestRefused when an address sent too many."""
        standing = await self._count(self._credentials, network(address), 1)
        if standing.spent:
            self._waits.tell(network(address), standing.seconds)
            raise self._refusal([standing])

    async def visit(self, address: str | None) -> Headers:
        """Count a page of signing in; gives headers that say what is left, raises RequestRefused past the rate."""
        standing = await self._count(self._visits, network(address), 1)
        if standing.spent:
            raise self._refusal([standing])
        return _headers([standing])

    async def close(self) -> None:
        """Free what counting takes."""
        await self._counters.close()

    async def _count(self, rate: Rate, whom: str, amount: int) -> Standing:
        used, ends = await self._counters.count(_key(rate, whom), rate.seconds, amount)
        return Standing(rate, used, max(math.ceil(ends - time.time()), 0))

    def _refusal(self, standings: Sequence[Standing]) -> RequestRefused:
        self.refused += 1
        worst = max((one for one in standings if one.spent), key=lambda one: one.seconds)
        seconds = max(worst.seconds, 1)
        error = GraphQLError(
            f"Too many requests ({worst.rate.name}); try again in {seconds} s",
            extensions={
                "code": RATE_LIMITED,
                "limit": worst.rate.amount,
                "windowSeconds": worst.rate.seconds,
                "retryAfterSeconds": seconds,
            },
        )
        headers = [*_headers(standings), (b"retry-after", str(seconds).encode())]
        return RequestRefused([error], headers)


def identity(caller: Caller) -> str:
    """Whose rates a request counts on: the key's, else the user's, else those of where it came from."""
    viewer = caller.viewer
    if viewer is None:
        return network(caller.address)
    if viewer.api_key_id is not None:
        return f"key:{viewer.api_key_id}"
    return f"user:{viewer.user_id}"


def network(address: str | None) -> str:
    """An address as it is counted: of IPv6 the /64, all of which one customer has."""
    try:
        ip = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "address:unknown"
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is None:
            return f"address:{IPv6Address(int(ip) >> 64 << 64)}/64"
        return f"address:{ip.ipv4_mapped}"
    return f"address:{ip}"


def _key(rate: Rate, whom: str) -> str:
    return f"{rate.name}/{whom}"


def _headers(standings: Iterable[Standing]) -> Headers:
    """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)."""
    standings = list(standings)
    left = ", ".join(f'"{one.rate.name}";r={one.left};t={one.seconds}' for one in standings)
    policies = ", ".join(one.rate.policy for one in standings)
    return [(b"ratelimit", left.encode()), (b"ratelimit-policy", policies.encode())]


def _root_fields(prepared: Prepared) -> list[str]:
    executor = prepared.executor
    fragments = {name: details.definition for name, details in executor.fragments.items()}
    return list(field_names(executor.operation.selection_set, fragments))
