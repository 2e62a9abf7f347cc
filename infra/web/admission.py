"""Who may come in: what clients offer to prove who they are, and what they are let in as."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from starlette.datastructures import Headers
from starlette.types import Scope

from domain.identity import Caller, Unauthenticated, Viewer

WORKSPACE_HEADER: Final = "x-penstock-workspace"
AGENT_LENGTH: Final = 500
TOKEN_LENGTH: Final = 8_192
STRANGERS_BYTES: Final = 1024 * 1024
"""Largest request of who is not signed in: more than any document, and no burden when all of them send it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A credential, and the workspace asked for by its global id or UUID; either may be missing."""

    token: str | None = None
    workspace: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a credential has proved, so that rights can be looked up again without it."""

    user_id: UUID | None = None
    session_id: UUID | None = None
    key_hash: bytes | None = None
    workspace_id: UUID | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """As whom a client was let in, and until when; without a proof as nobody."""

    viewer: Viewer | None = None
    expires_at: datetime | None = None
    proof: Proof | None = None

    def caller(self, scope: Scope, request_id: str) -> Caller:
        """The caller of one operation that came this way."""
        client = scope.get("client")
        agent = Headers(scope=scope).get("user-agent")
        return Caller(
            self.viewer,
            request_id,
            address=client[0] if client else None,
            agent=agent[:AGENT_LENGTH] if agent else None,
        )

    def same_owner(self, other: "Admission") -> bool:
        """Whether both are of one user or key, in one workspace."""
        mine, theirs = self.viewer, other.viewer
        return (
            mine is not None
            and theirs is not None
            and (mine.user_id, mine.api_key_id, mine.workspace_id)
            == (theirs.user_id, theirs.api_key_id, theirs.workspace_id)
        )


ANONYMOUS: Final = Admission()


def offer_in(headers: Headers) -> Offer:
    """What a request's headers offer; raises Unauthenticated when it is no bearer token."""
    given = headers.get("authorization")
    return Offer(None if given is None else bearer(given), headers.get(WORKSPACE_HEADER))


def offer_in_payload(payload: Mapping[str, Any] | None, fallback: Offer) -> Offer:
    """What `connection_init` offers, and what came with the handshake where it is silent."""
    given = {name.lower(): value for name, value in (payload or {}).items()}
    token, workspace = given.get("authorization"), given.get("workspace")
    if workspace is None:
        workspace = given.get(WORKSPACE_HEADER)
    return Offer(
        fallback.token if token is None else bearer(token),
        fallback.workspace if workspace is None else str(workspace),
    )


def bearer(given: object) -> str:
    """The token of `Bearer <token>`; raises Unauthenticated for anything else."""
    scheme, _, token = given.partition(" ") if isinstance(given, str) else ("", "", "")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > TOKEN_LENGTH:
        raise Unauthenticated("authorization must be `Bearer` and a token")
    return token
