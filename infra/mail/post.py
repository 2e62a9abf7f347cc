"""Mails on their way out: taken at once, delivered in the background, so that no answer waits for a mail server."""

import asyncio
from contextlib import suppress
from typing import Final

from loguru import logger

from domain.identity import Mail, Mailer

QUEUE_DEPTH: Final = 1000
SENDERS: Final = 4
DRAIN_SECONDS: Final = 10.0


class Posting:
    """Implements `domain.identity.door.Post`: make it, `start`, send, `close`.

    The mailer tries again by itself; what it gives up on, and what a full queue cannot take, is logged with the
    request that caused it, never with the text, which may hold a token.
    """

    def __init__(self, mailer: Mailer, depth: int = QUEUE_DEPTH, senders: int = SENDERS) -> None:
        self._mailer = mailer
        self._waiting: asyncio.Queue[tuple[Mail, str]] = asyncio.Queue(depth)
        self._senders = senders
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way = 0
        self.failures = 0

    @property
    def waiting(self) -> int:
        """Mails taken, and neither sent nor given up."""
        return self._waiting.qsize() + self._under_way

    async def start(self) -> None:
        """Begin to deliver."""
        self._tasks = [
            asyncio.create_task(self._deliver(), name=f"mail {number}")
            for number in range(self._senders)
        ]

    async def close(self) -> None:
        """Deliver what is left, for a few seconds at most; the rest is logged."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._waiting.join(), DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._waiting.empty():
            mail, request_id = self._waiting.get_nowait()
            self._give_up(mail, request_id, "the service stopped")

    async def idle(self) -> None:
        """Wait until everything taken so far was delivered or given up."""
        await self._waiting.join()

    def send(self, mail: Mail, request_id: str) -> None:
        """Take a mail."""
        try:
            self._waiting.put_nowait((mail, request_id))
        except asyncio.QueueFull:
            self._give_up(mail, request_id, "too many mails are waiting")

    async def _deliver(self) -> None:
        while True:
            mail, request_id = await self._waiting.get()
            self._under_way += 1
            try:
                await self._mailer.send(mail)
            except asyncio.CancelledError:
                self._give_up(mail, request_id, "the service stopped")
                raise
            except Exception as error:  # noqa: BLE001 - one bad mail must not stop the others
                self._give_up(mail, request_id, str(error) or type(error).__name__)
            finally:
                self._under_way -= 1
                self._waiting.task_done()

    def _give_up(self, mail: Mail, request_id: str, reason: str) -> None:
        self.failures += 1
        logger.error("A mail was not sent ({!r}, request {}): {}", mail.subject, request_id, reason)
