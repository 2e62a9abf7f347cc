"""What letting people in takes from outside."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.identity.ports import Mail, PasswordHasher
from domain.identity.tokens import TokenIssuer, TokenSource
from domain.ports import Clock, Ids, Vault


class Post(Protocol):
    """Takes mails and delivers them later, so that no answer tells by its time whether there was one."""

    def send(self, mail: Mail, request_id: str) -> None:
        """Take a mail, after the commit it tells of; a failed delivery is logged with the request."""


class Authenticators(Protocol):
    """The codes of authenticator apps: TOTP of 6 digits and 30 seconds (RFC 6238)."""

    def new_secret(self) -> str:
        """A fresh secret, base32."""

    def uri(self, secret: str, email: str) -> str:
        """The secret as apps take it: `otpauth://totp/...`."""

    def picture(self, uri: str) -> str:
        """The URI as a QR code, in a data URI."""

    def step(self, secret: str, code: str, now: datetime) -> int | None:
        """Which 30 seconds since 1970 the code is of: the present ones or their neighbours; None for another code."""


class Pace(Protocol):
    """Makes answers take equally long, so that their time says nothing of what was found."""

    def begin(self) -> float:
        """The time an answer begins at."""

    async def even_out(self, begun: float) -> None:
        """Wait until the usual time of an answer is over."""


@dataclass(frozen=True, slots=True)
class DoorRules:
    """What the operator decided; `app_url` is where links in mails lead, None for mails with the token alone."""

    invited_only: bool = False
    app_url: str | None = None
    session_lifetime: timedelta = timedelta(days=30)
    deletion_grace: timedelta = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Door:
    """The ports of signing in."""

    hasher: PasswordHasher
    common_passwords: Container[str]
    tokens: TokenIssuer
    opaque: TokenSource
    authenticators: Authenticators
    vault: Vault
    post: Post
    pace: Pace
    clock: Clock
    ids: Ids
    rules: DoorRules
