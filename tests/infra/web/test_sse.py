"""Server-sent events in the distinct-connections mode of graphql-sse, from the running service."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from domain.identity import Caller, Permission, Viewer
from domain.positions import Position
from infra.realtime.sharing import Shares
from infra.realtime.statuses import StatusBoard
from infra.realtime.streams import Feed
from infra.web.admission import Admission
from infra.web.documents import Documents
from infra.web.entrance import Entrance
from infra.web.errors import ErrorFormatter
from infra.web.metrics import Metrics
from infra.web.operations import Operations, Request
from infra.web.sse import Listener, event_stream
from resolvers.context import Context
from schema.root import schema
from tests.infra.clients import FOLLOW, eventually, new_connector, numbers, running, save, ticks
from tests.infra.exchange import Exchange
from tests.infra.realtime.world import WORKSPACE, StillClock, World
from tests.infra.web.serving import Anybody, served
from tests.service import Service

EVENTS = {"accept": "text/event-stream"}
PATIENCE_SECONDS = 30.0
READER = Viewer(WORKSPACE, permissions=frozenset({Permission.READ_DATA}))


class Events:
    """Events of one response, as an EventSource would give them."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments = 0
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, Any]:
        """The next event's type and data."""
        kind, data = "message", list[str]()
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for line in self._lines:
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if line == "" and data:
                    text = "\n".join(data)
                    return kind, json.loads(text) if text else None
                if field == "event":
                    kind = value
                elif field == "data":
                    data.append(value)
                elif line:
                    assert field == "", line
                    self.comments += 1
        return "end", None


@asynccontextmanager
async def listening(where: Service | str, query: str, **variables: Any) -> AsyncIterator[Events]:
    url, headers = where, EVENTS
    if isinstance(where, Service):
        url, headers = where.url, EVENTS | where.credential
    body = {"query": query, "variables": variables}
    async with (
        httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client,
        client.stream("POST", f"{url}/graphql", json=body, headers=headers) as response,
    ):
        yield Events(response)


async def test_queries_and_mutations_are_one_event_and_complete(service: Service) -> None:
    async with listening(service, "{ __typename }") as events:
        assert events.response.status_code == 200
        assert events.response.headers["content-type"].startswith("text/event-stream")
        assert await events.next() == ("next", {"data": {"__typename": "Query"}})
        assert await events.next() == ("complete", None)
        assert await events.next() == ("end", None)


async def test_subscriptions_send_events_as_they_come(service: Service) -> None:
    connector = await new_connector(service)
    async with listening(service, FOLLOW, filter={"connectorIds": [connector]}) as events:
        kind, first = await events.next()
        assert (kind, first["data"]["messages"]["messages"]) == ("next", [])
        for number in range(20):
            await save(service, connector, ticks(number))
        seen: list[int] = []
        while len(seen) < 20:
            kind, event = await events.next()
            assert kind == "next"
            seen += numbers(event["data"]["messages"]["messages"])
        assert seen == list(range(20))
    cursor = first["data"]["messages"]["cursor"]
    variables = {"filter": {"connectorIds": [connector]}, "after": cursor}
    async with listening(service, FOLLOW, **variables) as events:
        kind, event = await events.next()
        assert numbers(event["data"]["messages"]["messages"]) == list(range(20))


async def test_data_with_line_breaks_stays_one_event(service: Service) -> None:
    frame = '{\r\n  "s": "BTC-USDT",\n\n\r  "p": "1.5"\n}'
    query = "subscription($filter: MessageFilter) { messages(filter: $filter) { ... on MessageBatch { messages { data } } } }"
    async with (
        Exchange() as exchange,
        running(service, url=exchange.url, mapping={"instrument": "s"}) as connector,
        listening(service, query, filter={"connectorIds": [connector]}) as events,
    ):
        await events.next()
        await exchange.send(frame, frame)
        for _ in range(2):
            kind, event = await events.next()
            assert kind == "next"
            for message in event["data"]["messages"]["messages"]:
                assert message["data"] == {"s": "BTC-USDT", "p": "1.5"}
            if len(event["data"]["messages"]["messages"]) == 2:
                break


@pytest.mark.parametrize(
    ("variables", "words"),
    [({"after": "x"}, "after"), ({"delivery": {"mode": "SAMPLE"}}, "intervalMs")],
)
async def test_a_subscription_that_cannot_start_says_why_and_completes(
    service: Service, variables: dict[str, Any], words: str
) -> None:
    async with listening(service, FOLLOW, **variables) as events:
        kind, event = await events.next()
        assert kind == "next"
        (error,) = event["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert words in json.dumps(error)
        assert await events.next() == ("complete", None)


async def test_documents_that_are_none_are_refused_before_any_event(service: Service) -> None:
    async with httpx.AsyncClient() as client:
        for query, status in (("{", 400), ("subscription { nothing }", 422)):
            response = await client.post(
                f"{service.url}/graphql", json={"query": query}, headers=EVENTS
            )
            assert response.status_code == status
            assert response.json()["errors"]


async def test_a_subscription_without_the_means_to_stream_is_refused(service: Service) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"{service.url}/graphql",
            json={"query": FOLLOW},
            headers={"accept": "application/json"} | service.credential,
        )
    assert response.status_code == 406
    assert "text/event-stream" in response.json()["errors"][0]["message"]


async def test_leaving_frees_the_subscription_though_nothing_comes(service: Service) -> None:
    await eventually(lambda: nobody(service))
    connector = await new_connector(service)
    async with listening(service, FOLLOW, filter={"connectorIds": [connector]}) as events:
        await events.next()
        assert await subscribers(service) == 1
    await eventually(lambda: nobody(service))


async def nobody(service: Service) -> bool:
    return await subscribers(service) == 0


async def subscribers(service: Service) -> int:
    async with httpx.AsyncClient() as client:
        lines = (await client.get(f"{service.url}/metrics")).text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("penstock_"))
    return int(float(values["penstock_subscribers"]))


@asynccontextmanager
async def in_process(world: World) -> AsyncIterator[str]:
    """The stream of a world in memory, as SSE on a real port and kept alive often."""
    feed = Feed(world.hub, StatusBoard(nothing_stored), StillClock(), world.seen_by)
    services: Any = SimpleNamespace(feed=feed)
    graphql_schema: Any = schema._schema
    operations = Operations(
        graphql_schema,
        Documents(graphql_schema),
        lambda caller: Context(caller, services),
        Shares(outbox_events=16, outbox_bytes=1 << 20),
        ErrorFormatter(),
        Metrics(),
    )

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body = await HttpRequest(scope, receive).json()
        caller = Caller(READER, "request")
        prepared = operations.prepare(Request(body["query"], None, body["variables"]), caller)
        listener = Listener(operations, prepared, Entrance(Anybody()), Admission(), scope)
        await event_stream(listener, 0.05)(scope, receive, send)

    await world.hub.start()
    async with served(application) as url:  # type: ignore[arg-type]
        yield url
    await world.hub.stop()


async def nothing_stored(*_: Any) -> list[Any]:
    return []


async def test_a_silent_stream_is_kept_alive() -> None:
    world = World()
    async with in_process(world) as url, listening(url, FOLLOW) as events:
        await events.next()
        later = asyncio.create_task(events.next())
        while events.comments < 4:
            await asyncio.sleep(0.01)
        world.hub.receive(world.commit(1, "BTC-USDT"))
        kind, event = await later
        assert kind == "next"
        assert len(event["data"]["messages"]["messages"]) == 1


class Broken(World):
    """A world whose archive cannot be read."""

    async def dropped(self) -> Position:
        raise RuntimeError("secret of the house")


async def test_a_stream_that_breaks_says_so_masked_and_completes() -> None:
    world = Broken()
    world.commit(1, "BTC-USDT")
    async with (
        in_process(world) as url,
        listening(url, FOLLOW, after=Position().encode()) as events,
    ):
        kind, event = await events.next()
        assert kind == "next"
        assert event["errors"] == [
            {
                "message": "Internal error",
                "extensions": {"code": "INTERNAL", "requestId": "request"},
            }
        ]
        assert await events.next() == ("complete", None)
