"""Pages of strangers reach a service on this machine neither by WebSocket nor by a name of theirs."""

import asyncio
import socket

import pytest
from websockets.exceptions import InvalidStatus

from infra.startup import is_loopback
from tests.infra.clients import dialling
from tests.infra.web.serving import application, client, served
from tests.service import Service

PROTOCOL = "graphql-transport-ws"
QUERY = {"query": "{ __typename }"}


async def shakes_hands(url: str, origin: str | None) -> bool:
    try:
        async with dialling(url, PROTOCOL, origin=origin) as wire:
            await wire.send(type="connection_init")
            assert await wire.recv() == {"type": "connection_ack"}
    except InvalidStatus as refused:
        return refused.response.status_code != 403
    return True


async def test_sockets_are_open_to_pages_of_its_own_and_of_named_origins_alone() -> None:
    async with served(application(cors_origins=["https://app.example.com"])) as url:
        for origin in (None, url, "https://app.example.com"):
            assert await shakes_hands(url, origin), origin
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://localhost"):
            assert not await shakes_hands(url, origin), origin
    async with served(application(cors_origins=["*"])) as url:
        assert await shakes_hands(url, "http://evil.example")


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:8000", True),
        ("penstock.localhost", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("192.0.2.7", True),
        ("Api.Example.com:443", True),
        ("evil.example:8000", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("[evil", False),
        ("", False),
    ],
)
async def test_on_loopback_it_answers_to_names_that_no_stranger_can_point_here(
    host: str, known: bool
) -> None:
    async with client(application(allowed_hosts=["api.example.com"])) as http:
        answer = await http.post("/graphql", json=QUERY, headers={"host": host})
        health = await http.get("/healthz", headers={"host": host})
    assert answer.status_code == (200 if known else 403)
    assert known or answer.json()["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
    assert health.status_code == 200


async def test_elsewhere_it_answers_to_every_name() -> None:
    async with client(application()) as http:
        answer = await http.post("/graphql", json=QUERY, headers={"host": "api.example.com"})
    assert answer.status_code == 200


@pytest.mark.parametrize(("address", "loopback"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_what_only_this_machine_reaches_is_loopback(address: str, loopback: bool) -> None:
    with socket.socket() as listener:
        listener.bind((address, 0))
        assert is_loopback(listener) is loopback


async def test_the_service_refuses_the_pages_of_strangers(service: Service) -> None:
    assert not await shakes_hands(service.url, "http://evil.example")
    assert await shakes_hands(service.url, service.url)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET /graphql HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 403")
    writer.close()
    await writer.wait_closed()
