"""Credentials turned into viewers: verified, looked up, and remembered for a moment."""

from collections import OrderedDict
from datetime import timedelta
from hashlib import sha256
from typing import Final, Protocol
from uuid import UUID

from strawberry.relay import GlobalID

from domain.identity import Forbidden, Unauthenticated, viewers
from domain.identity.changes import RightsChange
from domain.ports import Clock, Database
from infra.security.tokens import AccessTokens
from infra.web.admission import ANONYMOUS, Admission, Offer, Proof

KEY_PREFIX: Final = "penstock_"
CACHE_SECONDS: Final = 30.0
CACHE_SIZE: Final = 10_000
LOOKS: Final = 5


class Uses(Protocol):
    """Where it is noted that sessions and keys are in use."""

    def note(self, session_id: UUID | None, api_key_id: UUID | None) -> None:
        """A session or a key was used just now."""


class _Looking:
    """A look-up under way, and what changed meanwhile."""

    def __init__(self) -> None:
        self.changes: list[RightsChange] = []


class Authenticator:
    """Tells who offers a credential; what it found out is kept only while changes of rights are heard of."""

    def __init__(
        self,
        accounts: Database,
        tokens: AccessTokens,
        clock: Clock,
        uses: Uses,
        *,
        cache_seconds: float = CACHE_SECONDS,
        cache_size: int = CACHE_SIZE,
    ) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._clock = clock
        self._uses = uses
        self._keep = timedelta(seconds=cache_seconds)
        self._size = cache_size
        self._cache: OrderedDict[tuple[bytes, str | None], tuple[Admission, float]] = OrderedDict()
        self._looking: set[_Looking] = set()
        self.hears_changes = False
        """Whether every change of rights is told to `forget`; nothing is kept while this is False."""

    async def admit(self, offer: Offer) -> Admission:
        """As whom a client is let in; raises Unauthenticated for a bad credential, Forbidden for the workspace."""
        if offer.token is None:
            return ANONYMOUS
        key = (sha256(offer.token.encode()).digest(), offer.workspace)
        admission = self._kept(key)
        if admission is None:
            proof = await self._proof(offer.token, offer.workspace)
            admission = await self._found(proof)
            self._keep_for_now(key, admission)
        if admission.viewer is not None:
            self._uses.note(admission.viewer.session_id, admission.viewer.api_key_id)
        return admission

    async def again(self, proof: Proof) -> Admission:
        """What was proved before, as the rights are now; raises as `admit` does."""
        now = self._clock.now()
        if proof.expires_at is not None and proof.expires_at <= now:
            raise Unauthenticated("token expired")
        async with self._accounts.read() as session:
            if proof.key_hash is not None:
                viewer, expires_at = await viewers.viewer_for_key(
                    session, proof.key_hash, now=now, workspace_id=proof.workspace_id
                )
                return Admission(viewer, expires_at, proof)
            if proof.session_id is None or proof.user_id is None:
                return ANONYMOUS
            viewer = await viewers.viewer_for_user(
                session,
                proof.user_id,
                now=now,
                session_id=proof.session_id,
                workspace_id=proof.workspace_id,
            )
        return Admission(viewer, proof.expires_at, proof)

    async def _found(self, proof: Proof) -> Admission:
        """Rights as they are by the end of looking: a change meanwhile was told to nobody who looks only now."""
        for _ in range(LOOKS):
            looking = _Looking()
            self._looking.add(looking)
            try:
                admission = await self.again(proof)
            finally:
                self._looking.discard(looking)
            viewer = admission.viewer
            if viewer is None or not any(change.concerns(viewer) for change in looking.changes):
                return admission
        raise Unauthenticated("rights are changing; try again")

    def forget(self, change: RightsChange) -> None:
        """Look up again whom a change concerns."""
        for looking in self._looking:
            looking.changes.append(change)
        for key, (admission, _) in list(self._cache.items()):
            if admission.viewer is None or change.concerns(admission.viewer):
                del self._cache[key]

    def _kept(self, key: tuple[bytes, str | None]) -> Admission | None:
        if not self.hears_changes or (kept := self._cache.get(key)) is None:
            return None
        admission, until = kept
        now = self._clock.now()
        if until < now.timestamp() or (admission.expires_at and admission.expires_at <= now):
            del self._cache[key]
            return None
        return admission

    def _keep_for_now(self, key: tuple[bytes, str | None], admission: Admission) -> None:
        if not self.hears_changes:
            return
        self._cache[key] = (admission, (self._clock.now() + self._keep).timestamp())
        self._cache.move_to_end(key)
        while len(self._cache) > self._size:
            self._cache.popitem(last=False)

    async def _proof(self, token: str, workspace: str | None) -> Proof:
        workspace_id = None if workspace is None else _workspace_id(workspace)
        if token.startswith(KEY_PREFIX):
            return Proof(key_hash=sha256(token.encode()).digest(), workspace_id=workspace_id)
        claims = await self._tokens.verify(token)
        return Proof(
            user_id=claims.user_id,
            session_id=claims.session_id,
            workspace_id=workspace_id,
            expires_at=claims.expires_at,
        )


def _workspace_id(given: str) -> UUID:
    """The UUID, or the global id, of a workspace; what is neither is answered as one that does not exist."""
    try:
        return UUID(given)
    except ValueError:
        pass
    try:
        id = GlobalID.from_id(given)
        if id.type_name == "Workspace":
            return UUID(id.node_id)
    except ValueError:
        pass
    raise Forbidden(needed=viewers.NOT_A_MEMBER)
