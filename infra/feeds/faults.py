"""What can go wrong with a source, and what it means for its connector."""

import ssl
from dataclasses import dataclass

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from domain.connectors import AddressRefused, ConnectorEvent
from infra.feeds.signing import CannotSign

# Answers that pass by themselves: worth another try without anybody changing anything.
_PASSING = frozenset({408, 418, 421, 425, 429})


class SourceFailed(Exception):
    """A source answered, and the answer is no; `lasting` when trying again will not help by itself."""

    def __init__(
        self, explanation: str, *, lasting: bool, wait_seconds: float | None = None
    ) -> None:
        super().__init__(explanation)
        self.lasting = lasting
        self.wait_seconds = wait_seconds


class FellSilent(Exception):
    """A socket was open but brought nothing for too long."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happened, in words for the connector's owner, and how long the source asked to be left alone."""

    event: ConnectorEvent
    explanation: str
    wait_seconds: float | None = None


def is_lasting(status: int) -> bool:
    """Whether an HTTP status says that the request itself is wrong."""
    return 400 <= status < 500 and status not in _PASSING


def fault_of(error: BaseException) -> Fault:
    """The fault behind an error of a connection or request; secrets are masked by who shows it."""
    match error:
        case FellSilent():
            return Fault(ConnectorEvent.FELL_SILENT, str(error))
        case SourceFailed():
            event = ConnectorEvent.FAILED if error.lasting else ConnectorEvent.DISCONNECTED
            return Fault(event, str(error), error.wait_seconds)
        case AddressRefused():
            return Fault(
                ConnectorEvent.FAILED,
                f"{error.host} leads to an address that connectors may not reach",
            )
        case CannotSign():
            return Fault(ConnectorEvent.FAILED, str(error))
        case InvalidStatus():
            status = error.response.status_code
            event = ConnectorEvent.FAILED if is_lasting(status) else ConnectorEvent.DISCONNECTED
            return Fault(event, f"the source refused the WebSocket with HTTP status {status}")
        case ConnectionClosed():
            return Fault(ConnectorEvent.DISCONNECTED, _closed(error))
        case _:
            return _connecting(error)


def _connecting(error: BaseException) -> Fault:
    certificate = _certificate_error(error)
    if certificate is not None:
        explanation = f"the certificate is not valid: {certificate.verify_message}"
        return Fault(ConnectorEvent.FAILED, explanation)
    match error:
        case InvalidURI() | httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return Fault(ConnectorEvent.FAILED, "the URL cannot be used")
        case TimeoutError() | httpx.TimeoutException():
            return Fault(ConnectorEvent.DISCONNECTED, f"timed out: {_words(error)}")
        case OSError() | httpx.TransportError() | InvalidHandshake():
            return Fault(ConnectorEvent.DISCONNECTED, f"cannot connect: {_words(error)}")
    return Fault(ConnectorEvent.FAILED, f"unexpected: {_words(error)}")


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    for _ in range(4):  # httpx wraps what httpcore wrapped
        if error is None or isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _closed(error: ConnectionClosed) -> str:
    close = error.rcvd or error.sent
    if close is None:
        return "the connection was lost"
    reason = f": {close.reason}" if close.reason else ""
    by = "the source" if error.rcvd else "Penstock"
    return f"{by} closed the connection with code {close.code}{reason}"


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
