"""Where connectors may go: addresses are checked after DNS resolution, and exactly the checked ones are connected to."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpcore
import httpx

from domain.connectors import AddressRefused

Resolve = Callable[[str, int], Awaitable[list[str]]]

RESOLVE_SECONDS = 5.0
ADDRESSES_TRIED = 4
NAT64 = IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST = IPv6Network("2000::/3")
DOCUMENTATION = IPv6Network("3fff::/20")  # RFC 9637, not known to ipaddress yet


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as the system resolves it, in its order; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def refusal(address: str) -> str | None:
    """Why an address is off limits; None for a public one. Looks into IPv4 addresses embedded in IPv6 ones."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        embedded = _embedded(ip)
        if embedded is not None:
            return refusal(str(embedded))
    for name in ("unspecified", "loopback", "link_local", "multicast", "private", "reserved"):
        if getattr(ip, f"is_{name}"):
            return name.replace("_", "-")
    if isinstance(ip, IPv6Address) and (ip not in GLOBAL_UNICAST or ip in DOCUMENTATION):
        return "not public"
    return None if ip.is_global else "not public"


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour


class Guard:
    """Resolves hosts and refuses loopback, link-local, private and other non-public addresses, unless told to allow them."""

    def __init__(
        self,
        allow_private: bool = False,
        resolve: Resolve = resolve,
        tls: Callable[[], ssl.SSLContext] = httpx.create_ssl_context,
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._new_tls = tls
        self._tls: dict[str, ssl.SSLContext] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, all of them checked; raises AddressRefused, OSError, TimeoutError."""
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await self._resolve(host, port)
        if not found:
            raise OSError(f"{host} has no address")
        if not self._allow_private:
            for address in found:
                if refusal(address) is not None:
                    raise AddressRefused(host=host)
        return found[:ADDRESSES_TRIED]

    def tls(self, purpose: str) -> ssl.SSLContext:
        """The TLS settings for "http" or "websocket": made once, and apart, because each offers its own protocols."""
        if purpose not in self._tls:
            self._tls[purpose] = self._new_tls()
        return self._tls[purpose]

    def transport(self) -> httpx.AsyncBaseTransport:
        """An HTTP transport of a few connections that only goes where this guard lets it."""
        return _GuardedTransport(self)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves once and connects to what was checked; TLS still asks for the host's own name."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the name is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._guard.addresses(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"looking up {host} took too long") from error
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error}") from error
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(
            addresses[-1], port, timeout, local_address, socket_options
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _GuardedTransport(httpx.AsyncHTTPTransport):
    def __init__(self, guard: Guard) -> None:
        super().__init__(verify=guard.tls("http"), trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=guard.tls("http"),
            max_connections=4,
            max_keepalive_connections=2,
            keepalive_expiry=60.0,
            http2=True,
            network_backend=_GuardedBackend(guard),
        )
