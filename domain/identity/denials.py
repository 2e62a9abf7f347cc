"""Why somebody was not let in, or may not change how they get in."""

from dataclasses import dataclass

from domain.errors import DomainError


@dataclass(eq=False)
class InvalidCredentials(DomainError):
    """No active account has this address and password; which of them is wrong is not said."""


@dataclass(eq=False)
class EmailNotVerified(DomainError):
    """The password is right, but the address was never verified."""


@dataclass(eq=False)
class SecondFactorRequired(DomainError):
    """The password is right; a code is needed as well."""


@dataclass(eq=False)
class WrongCode(DomainError):
    """The code is not the present one, or was used already."""


@dataclass(eq=False)
class WrongPassword(DomainError):
    """It is not the account's password."""


@dataclass(eq=False)
class TooManyAttempts(DomainError):
    """Too many attempts failed; the next one is looked at after a while."""

    retry_after_seconds: int


@dataclass(eq=False)
class TokenInvalid(DomainError):
    """The token was never given out, was used already, or has ended."""


@dataclass(eq=False)
class SessionNotFound(DomainError):
    """The user has no such session that goes on."""

    id: str


@dataclass(eq=False)
class SecondFactorOn(DomainError):
    """The account has a second factor already."""


@dataclass(eq=False)
class SecondFactorOff(DomainError):
    """The account has no second factor, or none waits to be confirmed."""


@dataclass(eq=False)
class IdentityTaken(DomainError):
    """Whom the provider named is linked with another account."""


@dataclass(eq=False)
class OnlyWayIn(DomainError):
    """Nothing else would let the account's owner in."""
