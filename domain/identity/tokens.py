"""Tokens: the short signed ones that requests carry, and the opaque ones of which only a hash is kept."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID


class AccessToken(NamedTuple):
    """A signed token and when it ends."""

    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good access token says."""

    user_id: UUID
    session_id: UUID
    token_id: str
    issued_at: datetime
    expires_at: datetime


class TokenIssuer(Protocol):
    """Makes access tokens."""

    async def issue(self, user_id: UUID, session_id: UUID) -> AccessToken:
        """A signed token of this user's session."""


class TokenSource(Protocol):
    """Makes opaque tokens."""

    def new(self) -> str:
        """A fresh token that nobody can guess: 32 random bytes, base64url."""


def token_hash(token: str) -> bytes:
    """What is stored of an opaque token: SHA-256, enough for a random value."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
