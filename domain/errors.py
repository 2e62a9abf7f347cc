"""The errors a caller can act on: plain facts, raised by rules, named in result unions."""

from dataclasses import dataclass


class DomainError(Exception):
    """A rule said no; anything else that is raised is a bug."""


@dataclass(eq=False)
class NotFound(DomainError):
    """Nothing the viewer may see has this id."""

    field: str
    id: str


@dataclass(eq=False)
class InvalidInput(DomainError):
    """A value of the input cannot be used; `field` is its GraphQL path, `reason` says why."""

    field: str
    reason: str


@dataclass(eq=False)
class StaleVersion(DomainError):
    """Somebody changed the object since the caller read it."""

    expected: int
    actual: int


@dataclass(eq=False)
class NoFieldsToUpdate(DomainError):
    """An update named nothing to change."""
