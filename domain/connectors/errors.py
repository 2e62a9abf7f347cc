"""Why a connector could not be made, changed or found."""

from dataclasses import dataclass

from domain.errors import DomainError
from domain.errors import NoFieldsToUpdate as NoFieldsToUpdate


@dataclass(eq=False)
class ConnectorNotFound(DomainError):
    """No connector of the viewer has this id (as the caller gave it)."""

    id: str


@dataclass(eq=False)
class ConnectorNameTaken(DomainError):
    """Another connector of the workspace has this name."""

    name: str


@dataclass(eq=False)
class ConnectorLimitReached(DomainError):
    """The workspace has as many connectors as it may."""

    limit: int


@dataclass(eq=False)
class AddressRefused(DomainError):
    """The host is, or resolves to, an address that Penstock does not connect to."""

    host: str
