"""The entrance: who comes in, who stays, and who has to leave when their rights change."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from hashlib import sha256
from typing import Final, Protocol

import stamina
from loguru import logger

from domain.identity import Forbidden, Unauthenticated
from domain.identity.changes import RightsChange
from infra.web.admission import Admission, Offer, Proof

AT_A_TIME: Final = 8
ATTEMPTS: Final = 8
REMEMBERED: Final = 10_000
ROUND_SECONDS: Final = 0.5
ANYTHING: Final = RightsChange()


class Authentication(Protocol):
    """What tells who offers a credential."""

    async def admit(self, offer: Offer) -> Admission:
        """As whom a client is let in; raises Unauthenticated, Forbidden."""

    async def again(self, proof: Proof) -> Admission:
        """What was proved before, as the rights are now; raises Unauthenticated, Forbidden."""

    def forget(self, change: RightsChange) -> None:
        """Look up again whom a change concerns."""


class Guest(Protocol):
    """Somebody who stays: a WebSocket, or a stream of server-sent events."""

    @property
    def admission(self) -> Admission:
        """As whom they are in."""

    async def readmit(self, admission: Admission) -> None:
        """Go on with these rights; what they no longer allow ends."""

    def show_out(self, reason: str) -> None:
        """End: nothing is allowed any more."""


class Entrance:
    """Lets clients in, and keeps those who stay to the rights they have by now."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication
        self._guests: set[Guest] = set()
        self._checks: dict[Proof, asyncio.Task[None]] = {}
        self._concerned: dict[Proof, set[Guest]] = {}
        self.changes = 0
        """How many changes of rights were heard of."""
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    async def admit(self, offer: Offer) -> Admission:
        """As whom a client is let in; raises Unauthenticated, Forbidden."""
        try:
            admission = await self._authentication.admit(offer)
        except (Unauthenticated, Forbidden):
            self._known.pop(_digest(offer), None)
            raise
        if offer.token is not None:
            self._remember(_digest(offer))
        return admission

    def knows(self, offer: Offer) -> bool:
        """Whether this was good when it came last, or is nothing to look up; it may be bad by now."""
        return offer.token is None or _digest(offer) in self._known

    def _remember(self, offer: bytes) -> None:
        self._known[offer] = None
        self._known.move_to_end(offer)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def enter(self, guest: Guest, since: int | None = None) -> None:
        """Somebody stays; they hear of every change of their rights, also of those after the `changes` given."""
        self._guests.add(guest)
        if since is not None and since != self.changes:
            self._look_up([guest])

    def leave(self, guest: Guest) -> None:
        """Somebody is gone."""
        self._guests.discard(guest)

    def changed(self, change: RightsChange = ANYTHING) -> None:
        """Rights changed: whom it concerns is looked up again, at once."""
        self.changes += 1
        self._authentication.forget(change)
        self._look_up(
            guest
            for guest in self._guests
            if guest.admission.viewer and change.concerns(guest.admission.viewer)
        )

    def _look_up(self, guests: Iterable[Guest]) -> None:
        concerned: set[Proof] = set()
        for guest in guests:
            if (proof := guest.admission.proof) is not None:
                self._concerned.setdefault(proof, set()).add(guest)
                concerned.add(proof)
        for proof in concerned:
            task = asyncio.create_task(self._check(proof), name="rights check")
            self._checks[proof] = task
            task.add_done_callback(partial(self._checked, proof))

    def _checked(self, proof: Proof, task: asyncio.Task[None]) -> None:
        if self._checks.get(proof) is task:
            del self._checks[proof]

    async def look_around(self, deaf: Callable[[], bool], seconds: float = ROUND_SECONDS) -> None:
        """Look up all who stay again and again while changes of rights are not heard of, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            if not deaf():
                continue
            try:
                await self._look_around()
            except (
                ExceptionGroup
            ) as problems:  # nobody can take rights away either, as far as one knows
                logger.debug("Rights could not be looked up: {!r}", problems.exceptions[0])

    async def _look_around(self) -> None:
        present: dict[Proof, set[Guest]] = {}
        for guest in self._guests:
            if (proof := guest.admission.proof) is not None:
                present.setdefault(proof, set()).add(guest)
        async with asyncio.TaskGroup() as looks:
            for proof, guests in present.items():
                looks.create_task(self._look(proof, guests))

    async def _look(self, proof: Proof, guests: Iterable[Guest]) -> None:
        changes = self.changes
        async with self._turns:
            found = await _found(self._authentication.again(proof))
        if changes == self.changes:  # else they are being looked up anew
            await self._tell(guests, proof, found)

    async def _check(self, proof: Proof) -> None:
        try:
            found = await _found(self._again(proof))
        except Exception as error:  # noqa: BLE001 - whoever cannot be checked may not stay
            logger.opt(exception=error).error("Rights could not be looked up again")
            found = "Rights cannot be checked now"
        if self._checks.get(proof) is asyncio.current_task():  # else rights changed once more
            await self._tell(self._concerned.pop(proof, ()), proof, found)

    async def _tell(self, guests: Iterable[Guest], proof: Proof, found: Admission | str) -> None:
        for guest in guests:
            if guest not in self._guests or guest.admission.proof != proof:
                continue  # gone, or in with another credential by now
            if isinstance(found, str):
                guest.show_out(found)
            else:
                await guest.readmit(found)

    async def _again(self, proof: Proof) -> Admission:
        async for attempt in stamina.retry_context(on=_passing, attempts=ATTEMPTS, wait_max=2.0):
            with attempt:
                async with self._turns:
                    return await self._authentication.again(proof)
        raise AssertionError


def _digest(offer: Offer) -> bytes:
    return sha256(f"{offer.token}\n{offer.workspace}".encode()).digest()


async def _found(look: Awaitable[Admission]) -> Admission | str:
    """The rights there are, or why there are none any more."""
    try:
        return await look
    except Unauthenticated as gone:
        return gone.reason[:1].upper() + gone.reason[1:]
    except Forbidden:
        return "No longer a member of this workspace"


def _passing(error: Exception) -> bool:
    return not isinstance(error, Unauthenticated | Forbidden)
