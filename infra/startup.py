"""What must be true before Penstock runs, told in one line each when it is not."""

import errno
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import asyncpg
from alembic.util.exc import CommandError

from infra.postgres.data_directory import DataDirectoryInUse
from infra.postgres.database import connector
from infra.postgres.embedded import CannotStart
from infra.postgres.migrate import status
from infra.postgres.roles import RolesMissing
from infra.redaction import hide_named
from infra.settings import InvalidSettings

OLDEST_POSTGRES = 15
BACKLOG = 2_048
STALLED_MS = 60_000


class CannotRun(Exception):
    """Penstock cannot run as it is set up; the message says what is wrong and how to mend it."""


def listen(host: str, port: int, stalled_ms: int = STALLED_MS) -> socket.socket:
    """A listening TCP socket (port 0: any free one); raises CannotRun when the address cannot be had.

    A client that takes nothing of what was sent to it for `stalled_ms` loses its connection.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotRun(f"{host} is no address of this machine: {error.strerror}") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Else a client that stopped reading keeps its socket, and what waits for it, for ever: closing
            # waits until all is sent.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stalled_ms)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        match error.errno:
            case errno.EADDRINUSE:
                why = "is in use by another process; stop it or choose another with --port"
            case errno.EACCES:
                why = "may not be listened on by this user; choose a port from 1024 on with --port"
            case errno.EADDRNOTAVAIL:
                why = "is no address of this machine; choose another with --host"
            case _:
                why = f"cannot be listened on: {error.strerror}"
        raise CannotRun(f"{place} {why}") from None
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach a listening socket."""
    return ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


async def require_database(url: str) -> int:
    """The server's major version; raises CannotRun when it cannot be reached or is too old."""
    try:
        connection = await connector(url)()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise CannotRun(f"{_why(error)}; see PENSTOCK_DATABASE_URL") from None
    try:
        version = connection.get_server_version().major
    finally:
        await connection.close(timeout=5)
    if version < OLDEST_POSTGRES:
        raise CannotRun(
            f"the database runs PostgreSQL {version}; Penstock needs {OLDEST_POSTGRES} or newer"
        )
    return version


async def require_migrations(url: str) -> None:
    """Pass when the database's schema is this version's; raises CannotRun when migrations are pending."""
    try:
        found = await status(url)
    except CommandError as error:
        raise CannotRun(
            f"the database's schema is not known to this version ({error}); run the version that wrote it"
        ) from None
    if found.pending:
        number = len(found.pending)
        noun = "migration is" if number == 1 else "migrations are"
        raise CannotRun(f"{number} {noun} pending; apply with `penstock migrate up`")


def explain(error: BaseException) -> str | None:
    """What an operator can mend, in plain words; None for what is a bug."""
    for leaf in _leaves(error):
        if isinstance(
            leaf, CannotRun | DataDirectoryInUse | CannotStart | InvalidSettings | RolesMissing
        ):
            return hide_named(str(leaf))
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _why(error: Exception) -> str:
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return f"the database refused the user or password ({error})"
        case asyncpg.InvalidCatalogNameError():
            return f"the database does not exist: {error}"
        case asyncpg.TooManyConnectionsError():
            return f"the database has no free connection: {error}"
        case TimeoutError():
            return "the database did not answer in time"
        case OSError():
            return f"the database cannot be reached: {error.strerror or error}"
    return f"the database cannot be used: {error}"
