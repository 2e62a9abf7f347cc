"""Connectors that stream numbered trades, a subscriber that keeps all it hears, and what the database has of both."""

import asyncio
import base64
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import asyncpg
import httpx
from websockets.exceptions import ConnectionClosed

from infra.replay.options import ReplayOptions
from infra.replay.server import Replayer
from tests.service import Service

KEY = "A" * 43 + "="
STREAMS = {"OMG-BUSD": "omgbusd@aggTrade", "LRC-BTC": "lrcbtc@aggTrade"}
PATIENCE_SECONDS = 40.0

CREATE = """
mutation($input: CreateConnectorInput!) {
  createConnector(input: $input) { ... on Connector { id } ... on Error { message } }
}
"""
START = "mutation($id: ID!) { startConnector(input: {id: $id}) { __typename } }"
FOLLOW = """
subscription($after: Cursor) {
  messages(after: $after) {
    __typename
    ... on MessageBatch { cursor messages { id instrument sequence } }
    ... on Gap { missed reason }
  }
}
"""


class Trade(NamedTuple):
    """A stored trade; the exchange numbers those of one instrument without holes."""

    id: int
    instrument: str
    number: int


class Hole(NamedTuple):
    """Numbers that are not there: those between the two."""

    instrument: str
    after: int
    before: int


def exchange(rate: float) -> Replayer:
    """An exchange whose trades of two instruments together are `rate` a second."""
    return Replayer(
        ReplayOptions(
            rate=rate, venues=("binance",), streams=tuple(STREAMS.values()), ping_interval=5
        )
    )


async def connect(service: Service, replayer: Replayer) -> None:
    """Make and start a connector for each of the exchange's instruments."""
    for instrument, stream in STREAMS.items():
        url = replayer.url("binance", f"/ws/{stream}")
        made = await service.ask(
            CREATE, {"input": {"name": instrument, "url": url, "venue": "BINANCE"}}
        )
        started = await service.ask(START, {"id": made["createConnector"]["id"]})
        assert started["startConnector"]["__typename"] == "Connector"


@dataclass
class Follower:
    """A subscriber that goes on from its cursor wherever it is pointed to."""

    heard: list[Trade] = field(default_factory=list)
    sockets: int = 0
    _cursor: str | None = None
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def following(self, service: Service) -> AsyncIterator[None]:
        """Hear what the service says during the block, or until the socket ends; a Gap is a failure."""
        listening = asyncio.create_task(self._listen(service))
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.wait({listening})
            if not listening.cancelled():
                listening.result()

    async def more(self, count: int = 150) -> None:
        """Wait until so many more trades of every instrument were heard."""
        before = self._counts()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any(self._counts()[name] < before[name] + count for name in STREAMS):
                self._came.clear()
                await self._came.wait()

    async def _listen(self, service: Service) -> None:
        self.sockets += 1
        async with service.subscription(FOLLOW, {"after": self._cursor}) as events:
            while True:
                try:
                    event = (await events.next(PATIENCE_SECONDS))["messages"]
                except ConnectionClosed:
                    return
                assert event["__typename"] == "MessageBatch", event
                self._cursor = event["cursor"]
                self.heard += [_heard(message) for message in event["messages"]]
                self._came.set()

    def _counts(self) -> dict[str, int]:
        counts = dict.fromkeys(STREAMS, 0)
        for trade in self.heard:
            counts[trade.instrument] += 1
        return counts


def _heard(message: dict[str, Any]) -> Trade:
    id = base64.b64decode(message["id"]).decode().removeprefix("Message:")
    return Trade(int(id), message["instrument"], int(message["sequence"]))


@dataclass(frozen=True)
class Stored:
    """What the database has: trades by id, recorded holes, and a figure or two of the connectors."""

    trades: list[Trade]
    recorded: set[Hole]
    counted: int
    shed: int
    epochs: set[int]

    @property
    def missing(self) -> set[Hole]:
        """The holes in the exchange's numbers; fails when a number is there twice or out of order."""
        numbers = defaultdict(list)
        for trade in self.trades:
            numbers[trade.instrument].append(trade.number)
        pairs = [
            Hole(instrument, after, before)
            for instrument, found in numbers.items()
            for after, before in pairwise(found)
        ]
        assert all(pair.after < pair.before for pair in pairs)
        return {pair for pair in pairs if pair.before != pair.after + 1}

    def since(self, first: Trade) -> list[Trade]:
        """The trades from this one on."""
        return [trade for trade in self.trades if trade.id >= first.id]


async def stored(database_url: str) -> Stored:
    """Everything the services have stored in a database."""
    connection = await asyncpg.connect(database_url, timeout=30)
    try:
        trades = await connection.fetch(
            "select id, instrument, sequence::bigint from messages order by id"
        )
        gaps = await connection.fetch(
            "select instrument, after_sequence, before_sequence from sequence_gaps"
        )
        statuses = await connection.fetch("select * from connector_status")
    finally:
        await connection.close(timeout=10)
    return Stored(
        [Trade(*row) for row in trades],
        {Hole(*row) for row in gaps},
        sum(row["message_count"] for row in statuses),
        sum(row["shed_count"] for row in statuses),
        {row["lease_epoch"] for row in statuses},
    )


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until what has no event comes true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


async def readiness(service: Service) -> tuple[int, set[str]]:
    """The status of /readyz and the dependencies that it calls down."""
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.get(f"{service.url}/readyz")
    checks = answer.json()["checks"]
    return answer.status_code, {name for name, check in checks.items() if check["state"] == "down"}


async def becomes_ready(service: Service, status: int) -> set[str]:
    """Wait until /readyz answers so; the dependencies that are down then."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found, down = await readiness(service)
            if found == status:
                return down
            await asyncio.sleep(0.05)


async def metric(service: Service, name: str) -> float:
    """A figure of /metrics."""
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.get(f"{service.url}/metrics")
    found = [line for line in answer.text.splitlines() if line.startswith(f"penstock_{name} ")]
    return float(found[0].split()[1])
