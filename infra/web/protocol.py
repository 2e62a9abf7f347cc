"""The words of graphql-transport-ws: messages as they are decoded, and why a socket is closed."""

from typing import Annotated, Any, Final

import msgspec

SUBPROTOCOL: Final = "graphql-transport-ws"
REASON_BYTES: Final = 120  # a close frame holds 123

TOO_LARGE: Final = 1009
TRY_AGAIN_LATER: Final = 1013
BAD_REQUEST: Final = 4400
UNAUTHORIZED: Final = 4401
"""An operation before `connection_init`. Client libraries take this code as final, unlike the next."""
FORBIDDEN: Final = 4403
"""A credential refused or at its end. Client libraries come back, and ask their application for a new one."""
SUBPROTOCOL_UNACCEPTABLE: Final = 4406
INIT_TIMEOUT: Final = 4408
SUBSCRIBER_EXISTS: Final = 4409
TOO_MANY_INITS: Final = 4429
TOO_MANY_SOCKETS: Final = 4430
TOO_MANY_MESSAGES: Final = 4431
"""Codes of this service's own; client libraries come back after a while."""

_Id = Annotated[str, msgspec.Meta(min_length=1)]


class Payload(msgspec.Struct, rename="camel"):
    """An operation; a hash may stand for its document."""

    query: str = ""
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None


class ConnectionInit(msgspec.Struct, tag="connection_init"):
    """A client introduces itself."""

    payload: dict[str, Any] | None = None


class Ping(msgspec.Struct, tag="ping"):
    """A client asks for a pong, and may show a new credential."""

    payload: dict[str, Any] | None = None


class Pong(msgspec.Struct, tag="pong"):
    """A client answers a ping."""

    payload: dict[str, Any] | None = None


class Subscribe(msgspec.Struct, tag="subscribe"):
    """A client starts an operation."""

    id: _Id
    payload: Payload


class Complete(msgspec.Struct, tag="complete"):
    """A client ends an operation."""

    id: _Id


decoder = msgspec.json.Decoder(ConnectionInit | Ping | Pong | Subscribe | Complete)


class Closed(Exception):
    """The socket is to be closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:REASON_BYTES].decode(errors="ignore")
