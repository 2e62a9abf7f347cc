"""Opaque tokens from the system's randomness."""

import secrets

_TOKEN_BYTES = 32


class RandomTokens:
    """Implements `domain.identity.TokenSource`."""

    def new(self) -> str:
        """32 random bytes, base64url."""
        return secrets.token_urlsafe(_TOKEN_BYTES)
