"""Who really asks when proxies stand between: their word is taken only where they are known.

Everything else reads the ASGI scope, which is rewritten here once: client address, scheme, host.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

SCHEMES: Final = {"http": "http", "https": "https"}
SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
FORWARDED: Final = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
HOPS: Final = 32
"""Addresses read of one `X-Forwarded-For`, from the right; no chain of proxies is longer."""


class Proxies:
    """Puts into the scope what the networks in `trusted` forward; from anybody else it is taken away."""

    def __init__(self, app: ASGIApp, trusted: Iterable[str] = ()) -> None:
        self._app = app
        self._trusted = networks(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a handshake on."""
        if scope["type"] in {"http", "websocket"}:
            scope = self._rewritten(scope)
        await self._app(scope, receive, send)

    def _rewritten(self, scope: Scope) -> Scope:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if not any(name in FORWARDED for name, _ in headers):
            return scope
        plain = [one for one in headers if one[0] not in FORWARDED]
        changed = {**scope, "headers": plain}
        client = scope.get("client")
        if client is None or not self._trusts(client[0]):
            return changed
        given = Headers(scope=scope)
        changed["client"] = self._client(given, client)
        schemes = SOCKET_SCHEMES if scope["type"] == "websocket" else SCHEMES
        proto = _last(given.get("x-forwarded-proto", "")).lower()
        changed["scheme"] = schemes.get(proto, scope.get("scheme", "http"))
        host = _last(given.get("x-forwarded-host", ""))
        if host:
            rest = [one for one in plain if one[0] != b"host"]
            changed["headers"] = [*rest, (b"host", host.encode("latin-1"))]
        return changed

    def _client(self, given: Headers, client: tuple[str, int]) -> tuple[str, int]:
        """The right-most address that is no trusted proxy's: all further left may be made up."""
        hops = ",".join(given.getlist("x-forwarded-for")).split(",")
        for hop in reversed(hops[-HOPS:]):
            address = _address(hop.strip())
            if address is None:
                return client
            client = (address, 0)
            if not self._trusts(address):
                return client
        return client

    def _trusts(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._trusted)


def networks(texts: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses and networks as networks; raises ValueError for what is neither."""
    return tuple(ip_network(text, strict=False) for text in texts)


def _last(text: str) -> str:
    return text.rpartition(",")[2].strip()


def _address(hop: str) -> str | None:
    """An address as proxies write it: plain, with a port, or in brackets; None for anything else."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ip_address(hop))
    except ValueError:
        return None
