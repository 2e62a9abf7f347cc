"""The graphql-transport-ws protocol, spoken to the running service."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from infra.web.entrance import Entrance
from infra.web.health import Health
from infra.web.metrics import Metrics
from infra.web.routes import create_web
from infra.web.websocket import WebSocketEndpoint
from tests.infra.clients import (
    FOLLOW,
    SAVE,
    dialling,
    eventually,
    new_connector,
    numbers,
    save,
    talking,
    ticks,
)
from tests.infra.web.sample import World
from tests.infra.web.serving import Anybody, operations, served
from tests.service import Service

PROTOCOL = "graphql-transport-ws"
TYPENAME = "{ __typename }"


@pytest.mark.parametrize("offered", [(), ("graphql-ws",), ("chat", "GRAPHQL-TRANSPORT-WS")])
async def test_other_subprotocols_are_closed_with_4406(
    service: Service, offered: tuple[str, ...]
) -> None:
    async with dialling(service.url, *offered) as wire:
        code, reason = await wire.closed()
    assert code == 4406
    assert "graphql-transport-ws" in str(reason)


async def test_the_subprotocol_is_chosen_among_others(service: Service) -> None:
    async with dialling(service.url, "graphql-ws", PROTOCOL) as wire:
        assert wire.socket.subprotocol == PROTOCOL


async def test_a_client_that_never_initialises_is_closed_with_4408() -> None:
    served_operations = operations(World())
    entrance = Entrance(Anybody())
    web = create_web(
        served_operations,
        entrance,
        WebSocketEndpoint(served_operations, entrance, init_seconds=0.2),
        Health({}),
        Metrics(),
    )
    async with served(web) as url:
        async with dialling(url, PROTOCOL) as silent:
            assert (await silent.closed())[0] == 4408
        async with dialling(url, PROTOCOL) as pinging:
            await pinging.send(type="ping")
            assert (await pinging.closed())[0] == 4408
        async with dialling(url, PROTOCOL) as patient:
            await patient.send(type="connection_init")
            assert await patient.recv() == {"type": "connection_ack"}
            await asyncio.sleep(0.4)
            await patient.send(type="ping")
            assert await patient.recv() == {"type": "pong"}


async def test_a_second_init_is_closed_with_4429(service: Service) -> None:
    async with talking(service) as wire:
        await wire.send(type="connection_init")
        assert await wire.closed() == (4429, "Too many initialisation requests")


async def test_an_operation_before_the_acknowledgement_is_closed_with_4401(
    service: Service,
) -> None:
    async with dialling(service.url, PROTOCOL) as wire:
        await wire.subscribe("1", TYPENAME)
        assert (await wire.closed())[0] == 4401


async def test_an_id_in_use_is_closed_with_4409(service: Service) -> None:
    for id in ("1", "\N{MONEY BAG}" * 500):
        async with talking(service) as wire:
            await wire.subscribe(id, FOLLOW)
            await wire.subscribe(id, TYPENAME)
            code, reason = await wire.closed()
        assert code == 4409
        assert reason is not None
        assert id[:5] in reason


async def test_an_id_is_free_again_once_its_operation_is_over(service: Service) -> None:
    async with talking(service) as wire:
        for _ in range(3):
            await wire.subscribe("1", TYPENAME)
            assert (await wire.recv())["type"] == "next"
            assert await wire.recv() == {"id": "1", "type": "complete"}
        await wire.subscribe("1", "{ nothing }")
        assert (await wire.recv())["type"] == "error"
        for _ in range(3):
            await wire.subscribe("1", FOLLOW)
            assert (await wire.recv())["type"] == "next"
            await wire.send(type="complete", id="1")
        await wire.subscribe("1", TYPENAME)
        assert (await wire.recv())["payload"] == {"data": {"__typename": "Query"}}


MALFORMED = [
    "",
    "{",
    "null",
    "[]",
    '"connection_init"',
    "{}",
    '{"type":null}',
    '{"type":"start"}',
    '{"type":"' + "é" * 200 + '"}',
    '{"type":"connection_ack"}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","id":1,"payload":{"query":"{a}"}}',
    '{"type":"subscribe","id":"1","payload":null}',
    '{"type":"subscribe","id":"1","payload":{"query":null}}',
    '{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":[]}}',
    '{"type":"subscribe","id":"","payload":{"query":"{a}"}}',
    '{"type":"complete"}',
    '{"type":"ping","payload":1}',
    '{"type":"ping","payload":NaN}',
    '{"type":"ping","payload":{"a":' + "[" * 100_000 + "]" * 100_000 + "}}",
    '{"type":"subscribe","id":"\\ud800","payload":{"query":"{__typename}"}}',
    b'{"type":"ping"}',
]


@pytest.mark.parametrize("message", MALFORMED, ids=lambda message: repr(message[:50]))
async def test_what_is_no_message_is_closed_with_4400(
    service: Service, message: bytes | str
) -> None:
    async with talking(service) as wire:
        await wire.socket.send(message)
        code, reason = await wire.closed()
        assert code == 4400, (code, reason)
        assert reason


async def test_pings_are_answered_and_pongs_taken(service: Service) -> None:
    async with dialling(service.url, PROTOCOL) as wire:
        await wire.send(type="ping")
        assert await wire.recv() == {"type": "pong"}
        await wire.send(type="connection_init", payload={"token": "t"})
        assert await wire.recv() == {"type": "connection_ack"}
        await wire.send(type="pong", payload={"any": ["thing"]})
        await wire.send(type="ping", payload={"any": "thing"})
        assert (await wire.recv())["type"] == "pong"


async def test_queries_and_mutations_are_answered_and_completed(service: Service) -> None:
    connector = await new_connector(service)
    asked = {"connectorId": connector, "idempotencyKey": "k", "messages": ticks(1)}
    async with talking(service) as wire:
        await wire.subscribe("m", SAVE, input=asked)
        saved = await wire.recv()
        assert (saved["id"], saved["type"]) == ("m", "next")
        assert saved["payload"]["data"]["saveMessages"]["savedCount"] == 1
        assert await wire.recv() == {"id": "m", "type": "complete"}
        query = "query A { __typename } query B($id: ID!) { node(id: $id) { id } }"
        payload = {"query": query, "operationName": "B", "variables": {"id": connector}}
        await wire.send(type="subscribe", id="q", payload=payload)
        assert (await wire.recv())["payload"] == {"data": {"node": {"id": connector}}}
        assert await wire.recv() == {"id": "q", "type": "complete"}


@pytest.mark.parametrize(
    "payload",
    [
        {"query": "{"},
        {"query": ""},
        {"query": "{ nothing }"},
        {"query": "query($id: ID!) { node(id: $id) { id } }"},
        {"query": "query A { __typename } query B { __typename }"},
        {"query": "{ __typename }", "operationName": "C"},
        {"query": "subscription { nothing }"},
        {"query": "subscription { messages(after: 1.5) { __typename } }"},
        {"query": "{ " + "a " * 10_000 + "}"},
        {"query": "{" * 5_000},
    ],
    ids=lambda payload: payload["query"][:40],
)
async def test_what_cannot_be_executed_is_an_error_of_that_operation_alone(
    service: Service, payload: dict[str, Any]
) -> None:
    async with talking(service) as wire:
        await wire.send(type="subscribe", id="bad", payload=payload)
        answer = await wire.recv()
        assert (answer["id"], answer["type"]) == ("bad", "error")
        assert answer["payload"]
        for error in answer["payload"]:
            assert error["message"]
            assert error["extensions"]["code"] in {"BAD_USER_INPUT", "QUERY_TOO_COMPLEX"}
        await wire.subscribe("good", TYPENAME)
        assert (await wire.recv())["id"] == "good"


async def test_a_completed_subscription_sends_nothing_more(service: Service) -> None:
    connector = await new_connector(service)
    filter = {"connectorIds": [connector]}
    async with talking(service) as wire:
        for id in ("a", "b"):
            await wire.subscribe(id, FOLLOW, filter=filter)
            assert (await wire.recv())["id"] == id
        await wire.send(type="complete", id="a")
        await wire.send(type="complete", id="unknown")
        await wire.send(type="ping")
        assert await wire.recv() == {"type": "pong"}
        for number in range(5):
            await save(service, connector, ticks(number))
            event = await wire.recv()
            assert event["id"] == "b"
            assert numbers(event["payload"]["data"]["messages"]["messages"]) == [number]


async def test_leaving_frees_the_subscriptions(service: Service) -> None:
    async def counted(subscribers: int, sockets: int) -> bool:
        return await gauges(service) == (subscribers, sockets)

    await eventually(lambda: counted(0, 0))
    async with talking(service) as wire:
        for id in range(50):
            await wire.subscribe(str(id), FOLLOW)
        await eventually(lambda: counted(50, 1))
        await wire.send(type="complete", id="0")
        await eventually(lambda: counted(49, 1))
        wire.socket.transport.abort()
        await eventually(lambda: counted(0, 0))


async def gauges(service: Service) -> tuple[int, int]:
    """Subscriptions and sockets that the service counts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    lines = (await reader.read()).decode().splitlines()
    writer.close()
    await writer.wait_closed()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("penstock_"))
    return int(float(values["penstock_subscribers"])), int(float(values["penstock_sockets"]))


async def test_too_many_operations_on_one_socket_are_refused(service: Service) -> None:
    async with talking(service) as wire:
        for id in range(200):
            await wire.subscribe(str(id), FOLLOW)
            assert (await wire.recv())["id"] == str(id)
        await wire.subscribe("more", FOLLOW)
        answer = await wire.recv()
        assert (answer["id"], answer["type"]) == ("more", "error")
        (error,) = answer["payload"]
        assert "200" in error["message"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        await wire.send(type="complete", id="7")
        await wire.subscribe("more", FOLLOW)
        assert (await wire.recv())["type"] == "next"


async def test_very_large_messages_are_taken_and_larger_ones_end_the_socket(
    service: Service,
) -> None:
    connector = await new_connector(service)
    data = {"text": "x" * 60_000}
    asked = {"connectorId": connector, "idempotencyKey": "k"}
    async with talking(service) as wire:
        await wire.subscribe("1", SAVE, input={**asked, "messages": ticks(*range(200), data=data)})
        answer = await wire.recv()
        assert answer["payload"]["data"]["saveMessages"]["savedCount"] == 200
    async with talking(service) as wire:
        huge = '{"type":"ping","payload":{"a":"' + "x" * 17 * 1024 * 1024 + '"}}'
        with suppress(ConnectionClosed):
            await wire.socket.send(huge)
        code, _ = await wire.closed()
        assert code in {1009, 1006}, "closed, or reset before all of it was sent"
    async with talking(service) as wire:
        await wire.subscribe("1", TYPENAME)
        assert (await wire.recv())["type"] == "next"


async def test_fragmented_messages_are_put_together(service: Service) -> None:
    async with talking(service) as wire:
        await wire.socket.send(['{"type":', '"ping', '"}'])
        assert await wire.recv() == {"type": "pong"}
