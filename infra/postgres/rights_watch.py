"""Hears from the database, within moments, whose rights changed: LISTEN on one connection of this process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import stamina
from loguru import logger

from domain.identity.changes import RightsChange

CHANNEL: Final = "penstock_rights"
KEEPALIVE_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 0.2

Connect = Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]


class _Notice(msgspec.Struct):
    user: UUID | None = None
    session: UUID | None = None
    key: UUID | None = None
    workspace: UUID | None = None


_decoder = msgspec.json.Decoder(_Notice)


class RightsWatch:
    """Calls `changed` for every change, and for anything after an outage; `hearing` as it begins and ends to hear."""

    def __init__(
        self,
        connect: Connect,
        changed: Callable[[RightsChange], None],
        hearing: Callable[[bool], None],
        keepalive_seconds: float = KEEPALIVE_SECONDS,
    ) -> None:
        self._connect = connect
        self._changed = changed
        self._hearing = hearing
        self._keepalive = keepalive_seconds
        self._heard = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled, over every loss of the connection."""
        while True:
            try:
                async for attempt in stamina.retry_context(
                    on=Exception,
                    attempts=None,
                    timeout=None,
                    wait_initial=RETRY_SECONDS,
                    wait_max=1.0,
                ):
                    with attempt:
                        connection = await self._listening()
                await self._hear(connection)
            except Exception as error:  # noqa: BLE001 - whatever broke it, it is begun anew
                logger.warning("Changes of rights are not heard for the moment: {!r}", error)

    async def started(self) -> None:
        """Wait until changes are heard for the first time."""
        await self._heard.wait()

    async def _listening(self) -> "asyncpg.Connection[asyncpg.Record]":
        connection = await self._connect()
        try:
            await connection.add_listener(CHANNEL, self._notified)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _hear(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            self._hearing(True)
            self._changed(RightsChange())  # what was missed
            self._heard.set()
            while True:
                try:
                    async with asyncio.timeout(self._keepalive):
                        await lost.wait()
                    raise ConnectionError("the connection was lost")
                except TimeoutError:
                    await connection.fetchval("select 1", timeout=ANSWER_SECONDS)
        finally:
            self._hearing(False)
            connection.terminate()

    def _notified(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        try:
            notice = _decoder.decode(str(payload))
        except msgspec.MsgspecError:
            logger.warning("A notice of changed rights cannot be read; all are looked up again")
            notice = _Notice()
        self._changed(RightsChange(notice.user, notice.session, notice.key, notice.workspace))
