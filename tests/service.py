"""The service as its users have it: a process of its own, spoken to over sockets."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.signing_in import DAY, signed_in

START_SECONDS = 60.0
STOP_SECONDS = 15.0
ANSWER_SECONDS = 30.0


class Service:
    """One `penstock` process: `up` unless told otherwise, on a free port, with `settings` as PENSTOCK_*."""

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        command: str = "up",
        **settings: Any,
    ) -> None:
        self.log = data_dir / f"{command}-{os.urandom(4).hex()}.log"
        self.port = 0
        self.token = ""
        self._data_dir = data_dir
        # Many tests share a process and an address, and would use up each other's rates.
        settings = {"rate_limits": False} | settings
        self._settings = settings
        self._command = [str(Path(sys.executable).with_name("penstock")), command, *arguments]
        if command in ("up", "serve"):
            self._command += ["--port", "0"]
        self._environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("PENSTOCK_")},
            "PENSTOCK_DATA_DIR": str(data_dir),
            **{f"PENSTOCK_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> Self:
        """Start the process and, when it serves, wait until it is ready, and sign in."""
        self._launch()
        if "--port" in self._command:
            self.port = int(await self._logged("Penstock is ready: http://"))
            self.token = await self.sign_in()
        elif self._command[1] == "ingest":
            await self._logged("Running connectors")
        return self

    async def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_SECONDS)

    async def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait, STOP_SECONDS)

    async def __aenter__(self) -> Self:
        try:
            return await self.start()
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            try:
                await self.stop()
            except subprocess.TimeoutExpired:
                await self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None
        return self._process

    @property
    def url(self) -> str:
        """Where HTTP is served."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def credential(self) -> dict[str, str]:
        """What requests show: a header, or the payload of `connection_init`."""
        return {"authorization": f"Bearer {self.token}"}

    async def sign_in(self, user_id: UUID | None = None, lifetime: timedelta = DAY) -> str:
        """A token for a new session of this user, or of the one the service has."""
        return await signed_in(self._data_dir, self._settings, user_id, lifetime)

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The data of a query or mutation; fails on errors."""
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
            response = await client.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                headers=self.credential,
            )
        answer: dict[str, Any] = response.json()
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    @asynccontextmanager
    async def subscription(
        self, query: str, variables: Mapping[str, Any] | None = None
    ) -> AsyncIterator["Subscription"]:
        """A subscription over a WebSocket of its own."""
        async with connect(
            f"ws://127.0.0.1:{self.port}/graphql",
            subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]
            max_size=None,
        ) as socket:
            introduction = {"type": "connection_init", "payload": self.credential}
            await socket.send(orjson.dumps(introduction).decode())
            assert orjson.loads(await socket.recv())["type"] == "connection_ack"
            payload = {"query": query, "variables": variables}
            await socket.send(
                orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}).decode()
            )
            yield Subscription(socket)

    def _launch(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )

    async def _logged(self, text: str) -> str:
        """The port in the log line that contains `text`."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                logged = self.log.read_text(errors="replace")
                if text in logged:
                    return logged.rpartition(text)[2].partition("/")[0].rpartition(":")[2]
                assert self.process.poll() is None, logged
                await asyncio.sleep(0.05)


class Subscription:
    """Events of one subscription, in the order of arrival."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def next(self, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """The next event's data; fails on errors and when none comes."""
        async with asyncio.timeout(seconds):
            message = orjson.loads(await self.socket.recv())
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        data: dict[str, Any] = message["payload"]["data"]
        return data
