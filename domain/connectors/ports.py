"""What connectors need from outside."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from domain.connectors.entities import Connector, ConnectorStatus
from domain.connectors.secrets import Secrets
from domain.identity import Act, Viewer
from domain.live import LiveStream


class Switchboard(Protocol):
    """Tells ingest processes that connectors changed, so that they need not wait for their next look."""

    async def connector_changed(self, connector_id: UUID) -> None:
        """Announce a changed, started, stopped or deleted connector."""


class ConnectorChecks(Protocol):
    """Rules that only the code which runs connectors knows."""

    def check_mapping(self, mapping: Mapping[str, Any]) -> None:
        """Raise InvalidInput (`mapping`, `mapping.price`, ...) for field paths that cannot be used."""

    def check_signing(self, signing: Mapping[str, Any]) -> None:
        """Raise InvalidInput (`signing`, `signing.algorithm`, ...) for a recipe that cannot be used."""

    async def check_address(self, url: str) -> None:
        """Raise AddressRefused when the host leads where Penstock may not go; a host that does not resolve passes."""


class SecretOpener(Protocol):
    """Opens the named secrets that connectors refer to."""

    async def opened(self, connector: Connector, own: Secrets, act: Act) -> Secrets:
        """A connector's own secrets with those it refers to; each use is written down as the act's.

        Raises InvalidInput (`secretReferences.apiKey`, ...) for one that is gone or cannot be opened or sent.
        """


class StatusFeed(Protocol):
    """How connectors are doing, live."""

    def statuses(self, viewer: Viewer, connector_id: UUID | None) -> LiveStream[ConnectorStatus]:
        """The present status of one connector (of all when None), then every later one."""
