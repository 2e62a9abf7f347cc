"""Guards: one connector, and one message, by id over HTTP, signed in, rows secured, counted; against without all that."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import orjson
import uvloop

from infra.postgres import migrate
from infra.postgres.embedded import EmbeddedPostgres
from tests.bench.report import Figure, figure
from tests.signing_in import signed_in

REACH = 1.6
ROUNDS = 1_500
WARM = 300
CREATE = """
mutation($input: CreateConnectorInput!) { createConnector(input: $input) { __typename ... on Connector { id } } }
"""
SAVE = "mutation($input: SaveMessagesInput!) { saveMessages(input: $input) { __typename } }"
NEWEST = "{ messages(first: 1) { edges { node { id } } } }"
CONNECTOR = "query Point($id: ID!) { node(id: $id) { id ... on Connector { name url venue } } }"
MESSAGE = "query Point($id: ID!) { node(id: $id) { id ... on Message { instrument price data } } }"


def run() -> list[Figure]:
    """The two in turn, so that the machine's noise falls on both."""
    return uvloop.run(_run())


async def _run() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as directory:
        async with EmbeddedPostgres(Path(directory) / "server") as postgres:
            await migrate.upgrade(postgres.url)
            given = {
                "database_url": postgres.url,
                "encryption_keys": b64encode(os.urandom(32)).decode(),
                "allow_private_addresses": True,
            }
            token = await signed_in(Path(directory), given)
            user, workspace = await _somebody(postgres.url)
            environment = {f"PENSTOCK_{name.upper()}": str(value) for name, value in given.items()}
            environment["PENSTOCK_DATA_DIR"] = directory
            with (
                _server(environment, "guarded", user, workspace) as guarded,
                _server(environment, "open", user, workspace) as unguarded,
            ):
                ours = await _Client.open(guarded, token)
                floor = await _Client.open(unguarded, None)
                return await _compared(ours, floor)


async def _compared(ours: "_Client", floor: "_Client") -> list[Figure]:
    wanted = {"name": "bench", "url": "wss://stream.binance.com:9443/ws", "venue": "BINANCE"}
    connector = (await ours.ask(CREATE, {"input": wanted}))["createConnector"]["id"]
    message = {"instrument": "BTC-USDT", "type": "TRADE", "price": "68900.5", "quantity": "1"}
    saved = {"connectorId": connector, "idempotencyKey": "bench", "messages": [message]}
    await ours.ask(SAVE, {"input": saved})
    newest = (await ours.ask(NEWEST, {}))["messages"]["edges"][0]["node"]["id"]
    figures = []
    for name, query, id in (("connector", CONNECTOR, connector), ("message", MESSAGE, newest)):
        with_guards, without = [], []
        for _ in range(ROUNDS):
            with_guards.append(await ours.milliseconds(query, {"id": id}))
            without.append(await floor.milliseconds(query, {"id": id}))
        ms, bare = median(with_guards[WARM:]), median(without[WARM:])
        figures += [
            figure(f"a {name} by id, without guards", bare, "ms"),
            figure(f"a {name} by id, guarded", ms, "ms", ms / bare, f"at most {REACH}"),
        ]
    return figures


class _Client:
    """A connection that is kept; a client library would take longer than what is measured."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str | None
    ) -> None:
        self._reader, self._writer = reader, writer
        self._head = b"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        self._head += b"content-type: application/json\r\n"
        if token is not None:
            self._head += f"authorization: Bearer {token}\r\n".encode()

    @classmethod
    async def open(cls, port: int, token: str | None) -> "_Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port), token)

    async def send(self, query: str, variables: Mapping[str, Any]) -> bytes:
        body = orjson.dumps({"query": query, "variables": variables})
        self._writer.write(self._head + b"content-length: %d\r\n\r\n" % len(body) + body)
        headers = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(headers.partition(b"content-length:")[2].split(b"\r\n")[0])
        return await self._reader.readexactly(length)

    async def ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        answer = orjson.loads(await self.send(query, variables))
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def milliseconds(self, query: str, variables: Mapping[str, Any]) -> float:
        began = time.perf_counter()
        answer = await self.send(query, variables)
        took = (time.perf_counter() - began) * 1000
        assert answer.startswith(b'{"data":{"node":{"id"'), answer
        return took


@contextmanager
def _server(environment: Mapping[str, str], *arguments: str) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.guarded_server", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(15)
        process.stdout.close()


async def _somebody(url: str) -> tuple[str, str]:
    """The user signed in, and their workspace."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow("select user_id, workspace_id from members")
        assert row
        return str(row["user_id"]), str(row["workspace_id"])
    finally:
        await connection.close()
