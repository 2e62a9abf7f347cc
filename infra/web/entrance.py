"""The entrance: who comes in, who stays, and who has to leave when their rights change."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Final, Protocol

import stamina
from loguru import logger

from domain.identity import Forbidden, Unauthenticated
from domain.identity.changes import RightsChange
from infra.web.admission import ANONYMOUS, Admission, Offer, Proof

AT_A_TIME: Final = 8
ATTEMPTS: Final = 8
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

    async def admit(self, offer: Offer) -> Admission:
        """As whom a client is let in; raises Unauthenticated, Forbidden."""
        return await self._authentication.admit(offer)

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

    async def _check(self, proof: Proof) -> None:
        reason = None
        admission = ANONYMOUS
        try:
            admission = await self._again(proof)
        except Unauthenticated as gone:
            reason = gone.reason
        except Forbidden:
            reason = "No longer a member of this workspace"
        except Exception as error:  # noqa: BLE001 - whoever cannot be checked may not stay
            logger.opt(exception=error).error("Rights could not be looked up again")
            reason = "Rights cannot be checked now"
        if self._checks.get(proof) is not asyncio.current_task():
            return  # rights changed once more meanwhile
        for guest in self._concerned.pop(proof, ()):
            if guest not in self._guests or guest.admission.proof != proof:
                continue  # gone, or in with another credential by now
            if reason is not None:
                guest.show_out(reason[:1].upper() + reason[1:])
            else:
                await guest.readmit(admission)

    async def _again(self, proof: Proof) -> Admission:
        async for attempt in stamina.retry_context(on=_passing, attempts=ATTEMPTS, wait_max=2.0):
            with attempt:
                async with self._turns:
                    return await self._authentication.again(proof)
        raise AssertionError


def _passing(error: Exception) -> bool:
    return not isinstance(error, Unauthenticated | Forbidden)
