"""Why a secret could not be set or deleted."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import DomainError


@dataclass(eq=False)
class SecretNotFound(DomainError):
    """The workspace has no secret of this name."""

    name: str


@dataclass(eq=False)
class SecretInUse(DomainError):
    """It is needed: `used_by` names what refers to it, the first hundred of `count`."""

    name: str
    used_by: Sequence[str]
    count: int


@dataclass(eq=False)
class SecretLimitReached(DomainError):
    """The workspace has as many secrets as it may."""

    limit: int
