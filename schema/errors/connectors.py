"""Why something about a connector could not be done."""

import strawberry

from domain import connectors
from schema.errors.base import Error
from schema.errors.codes import ErrorCode
from schema.views import plain


@strawberry.type(description="No connector has this id.")
class ConnectorNotFound(Error):
    """A missing connector."""

    __source__ = connectors.ConnectorNotFound
    __code__ = ErrorCode.CONNECTOR_NOT_FOUND
    __says__ = "There is no connector with this id."
    id: strawberry.ID = plain("The id that was given.")


@strawberry.type(description="Another connector has this name already.")
class ConnectorNameTaken(Error):
    """A name in use."""

    __source__ = connectors.ConnectorNameTaken
    __code__ = ErrorCode.CONNECTOR_NAME_TAKEN
    __says__ = "Another connector is named {name} already."
    name: str = plain("The name that is taken.")


@strawberry.type(description="The workspace has as many connectors as it may.")
class ConnectorLimitReached(Error):
    """A full workspace."""

    __source__ = connectors.ConnectorLimitReached
    __code__ = ErrorCode.CONNECTOR_LIMIT_REACHED
    __says__ = "A workspace may have {limit} connectors."
    limit: int = plain("How many there may be.")


@strawberry.type(
    description="The source is at a loopback, link-local or private address, which this service does not connect to."
)
class AddressRefused(Error):
    """A source off limits."""

    __source__ = connectors.AddressRefused
    __code__ = ErrorCode.ADDRESS_REFUSED
    __says__ = "{host} is at an address that this service does not connect to."
    host: str = plain("The host of the URL.")
