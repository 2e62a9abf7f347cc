"""The rules for connectors that only the code which runs them knows."""

from collections.abc import Mapping
from typing import Any

import httpx

from domain.errors import InvalidInput
from infra.feeds.guard import Guard
from infra.feeds.signing import check_signing
from infra.feeds.venues.custom import check_mapping

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class FeedChecks:
    """Implements ConnectorChecks."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def check_mapping(self, mapping: Mapping[str, Any]) -> None:
        """Raise InvalidInput for field paths that cannot be used."""
        _raise_first("mapping", check_mapping(dict(mapping)))

    def check_signing(self, signing: Mapping[str, Any]) -> None:
        """Raise InvalidInput for a recipe that cannot be used."""
        _raise_first("signing", check_signing(signing))

    async def check_address(self, url: str) -> None:
        """Raise AddressRefused when the host leads where Penstock may not go; a host that does not resolve passes.

        Raises InvalidInput for a URL whose host cannot be one, such as `0177.0.0.1`.
        """
        try:
            target = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise InvalidInput(field="url", reason="is not a URL") from error
        try:
            await self._guard.addresses(target.host, target.port or _PORTS.get(target.scheme, 443))
        except (OSError, UnicodeError):  # asked again when the connector runs
            return


def _raise_first(field: str, problems: Mapping[str, str]) -> None:
    for name, reason in problems.items():
        raise InvalidInput(field=f"{field}.{name}" if name else field, reason=reason)
