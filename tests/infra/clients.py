"""What clients of a running service do: connect sources, save messages, follow the stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.service import Service, Subscription

PATIENCE_SECONDS = 30.0

CREATE = """
mutation($input: CreateConnectorInput!) {
  createConnector(input: $input) { ... on Connector { id } ... on Error { message } }
}
"""
START = """
mutation($id: ID!) { startConnector(input: {id: $id}) { ... on Connector { id } } }
"""
STOP = """
mutation($id: ID!) { stopConnector(input: {id: $id}) { ... on Connector { id } } }
"""
SAVE = """
mutation($input: SaveMessagesInput!) {
  saveMessages(input: $input) {
    __typename
    ... on SavedMessages { savedCount repeated batchId cursor }
    ... on InvalidInput { field reason }
    ... on ConnectorNotFound { id }
  }
}
"""
FOLLOW = """
subscription($filter: MessageFilter, $after: Cursor, $delivery: Delivery) {
  messages(filter: $filter, after: $after, delivery: $delivery) {
    __typename
    ... on MessageBatch {
      cursor
      messages { id exchange instrument type price quantity side sequence eventTime }
    }
    ... on Gap { after before missed reason }
  }
}
"""


class Wire:
    """One WebSocket and all that goes over it, message by message."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, **message: Any) -> None:
        """Send a message of the protocol."""
        await self.socket.send(json.dumps(message))

    async def recv(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def subscribe(self, id: str, query: str, **variables: Any) -> None:
        """Start an operation."""
        await self.send(type="subscribe", id=id, payload={"query": query, "variables": variables})

    async def closed(self) -> tuple[int | None, str | None]:
        """The code and reason with which the service closes, whatever it says before."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed:
                return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def dialling(url: str, *subprotocols: str, **options: Any) -> AsyncIterator[Wire]:
    """A socket on which nothing was said yet."""
    async with connect(
        f"{url.replace('http', 'ws', 1)}/graphql",
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        **{"compression": None, "max_size": None, "close_timeout": 2, **options},
    ) as socket:
        yield Wire(socket)


@asynccontextmanager
async def talking(service: Service) -> AsyncIterator[Wire]:
    """An acknowledged socket."""
    async with dialling(service.url, "graphql-transport-ws") as wire:
        await wire.send(type="connection_init", payload=service.credential)
        assert (await wire.recv())["type"] == "connection_ack"
        yield wire


async def new_connector(service: Service, **values: Any) -> str:
    """The id of a new connector; one that only saves unless told otherwise."""
    given = {
        "name": f"source {uuid4().hex}",
        "url": "wss://127.0.0.1/",
        "venue": "CUSTOM",
        **values,
    }
    made = await service.ask(CREATE, {"input": given})
    assert "id" in made["createConnector"], made
    id: str = made["createConnector"]["id"]
    return id


@asynccontextmanager
async def running(service: Service, **values: Any) -> AsyncIterator[str]:
    """A connector that runs for the block."""
    id = await new_connector(service, **values)
    await service.ask(START, {"id": id})
    try:
        yield id
    finally:
        await service.ask(STOP, {"id": id})


async def save(
    service: Service, connector_id: str, messages: Sequence[dict[str, Any]], key: str | None = None
) -> dict[str, Any]:
    """What `saveMessages` answered."""
    asked = {
        "connectorId": connector_id,
        "idempotencyKey": key or uuid4().hex,
        "messages": list(messages),
    }
    saved = await service.ask(SAVE, {"input": asked})
    answer: dict[str, Any] = saved["saveMessages"]
    return answer


def ticks(*numbers: int, **values: Any) -> list[dict[str, Any]]:
    """Messages to save, told apart by `sequence`."""
    made = {"instrument": "BTC-USDT", "type": "TRADE", **values}
    return [{**made, "sequence": str(number), "price": f"{number}.5"} for number in numbers]


def following(service: Service, *connector_ids: str, **variables: Any) -> Any:
    """A subscription to what these connectors bring."""
    filter = {"connectorIds": list(connector_ids), **variables.pop("filter", {})}
    return service.subscription(FOLLOW, {"filter": filter, **variables})


async def batch(events: Subscription) -> dict[str, Any]:
    """The next event, which must be a batch."""
    event: dict[str, Any] = (await events.next())["messages"]
    assert event["__typename"] == "MessageBatch", event
    return event


async def began(events: Subscription) -> str:
    """The cursor of the empty batch with which a live subscription begins."""
    first = await batch(events)
    assert first["messages"] == []
    cursor: str = first["cursor"]
    return cursor


async def read(events: Subscription, count: int) -> list[dict[str, Any]]:
    """The next messages, exactly so many."""
    messages: list[dict[str, Any]] = []
    while len(messages) < count:
        messages += (await batch(events))["messages"]
    assert len(messages) == count, [message["sequence"] for message in messages[count:]]
    return messages


def numbers(messages: Sequence[dict[str, Any]]) -> list[int]:
    """Which of `ticks` these are."""
    return [int(message["sequence"]) for message in messages]


async def eventually(asked: Callable[[], Awaitable[Any]]) -> Any:
    """The first answer that is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (answer := await asked()):
            await asyncio.sleep(0.05)
    return answer
