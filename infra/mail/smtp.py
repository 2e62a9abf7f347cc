"""Mails by SMTP, encrypted wherever the server offers it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import aiosmtplib
import stamina
from aiosmtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException

from domain.identity import Mail
from domain.ports import Clock
from infra.mail.messages import compose

SUBMISSION_PORT: Final = 587
TLS_PORT: Final = 465
STEP_SECONDS: Final = 10.0
SEND_SECONDS: Final = 30.0
ATTEMPTS: Final = 3
PERMANENT: Final = 500
ENCRYPTED: Final = "encrypted"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, repr=False)
class MailServer:
    """Where mails are handed in, and as whom."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None

    @classmethod
    def of(cls, url: str) -> Self:
        """From `smtp://user:password@host:587` or `smtps://...`."""
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or (TLS_PORT if tls else SUBMISSION_PORT),
            tls=tls,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    @property
    def place(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class SmtpMailer:
    """Hands each mail to a server over a connection of its own; what may pass by itself is tried three times.

    With `smtp://` the connection is encrypted when the server offers STARTTLS; a password is never sent without,
    but to this machine.
    """

    def __init__(
        self,
        url: str,
        sender: str,
        clock: Clock,
        *,
        tls: ssl.SSLContext | None = None,
        wait_seconds: float = 0.5,
    ) -> None:
        self.server = MailServer.of(url)
        self._sender = sender
        self._clock = clock
        self._tls = tls
        self._wait_seconds = wait_seconds

    async def send(self, mail: Mail) -> None:
        """Hand the mail over; raises ConnectionError when the server is away or refuses it."""
        message = compose(mail, self._sender, self._clock.now())
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._deliver(message)
        except TimeoutError:
            raise ConnectionError(f"{self.server.place} did not answer in time") from None
        except (SMTPException, OSError, ssl.SSLError) as error:
            raise ConnectionError(f"{self.server.place}: {_reason(error)}") from None

    async def check(self) -> str:
        """Connect, sign in and leave; how it is encrypted, in words. Raises ConnectionError."""
        try:
            async with asyncio.timeout(STEP_SECONDS), self._connected() as client:
                return ENCRYPTED if _encrypted(client) else "not encrypted"
        except TimeoutError:
            raise ConnectionError("did not answer in time") from None
        except (SMTPException, OSError, ssl.SSLError) as error:
            raise ConnectionError(_reason(error)) from None

    async def _deliver(self, message: EmailMessage) -> None:
        async for attempt in stamina.retry_context(
            on=_may_pass,
            attempts=ATTEMPTS,
            timeout=SEND_SECONDS,
            wait_initial=self._wait_seconds,
            wait_max=5.0,
            wait_jitter=self._wait_seconds,
        ):
            with attempt:
                async with self._connected() as client:
                    await client.send_message(message)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        server = self.server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            timeout=STEP_SECONDS,
            use_tls=server.tls,
            start_tls=False if server.tls else None,
            tls_context=self._tls,
        )
        await client.connect()
        try:
            if server.user is not None:
                if not _encrypted(client) and server.host not in LOOPBACK:
                    raise PermissionError("offers no encryption: the password is not sent")
                await client.login(server.user, server.password or "")
            yield client
        finally:
            with suppress(SMTPException, OSError):
                await client.quit()
            client.close()


def _encrypted(client: aiosmtplib.SMTP) -> bool:
    return client.get_transport_info("ssl_object") is not None


def _may_pass(error: Exception) -> bool:
    """Whether another try may succeed: the network, a timeout, a refusal for now (4xx)."""
    match error:
        case PermissionError() | ssl.SSLError():
            return False
        case SMTPRecipientsRefused():
            return all(refused.code < PERMANENT for refused in error.recipients)
        case SMTPResponseException():
            return error.code < PERMANENT
    return isinstance(error, SMTPException | OSError | TimeoutError)


def _reason(error: Exception) -> str:
    match error:
        case SMTPRecipientsRefused():
            refused = error.recipients[0]
            return f"refused the recipient: {refused.code} {refused.message}"
        case SMTPResponseException():
            return f"refused: {error.code} {error.message}"
        case ssl.SSLCertVerificationError():
            return f"its certificate cannot be trusted: {error.verify_message}"
        case OSError():
            return error.strerror or str(error)
    return str(error) or type(error).__name__
