"""The server beneath HTTP: what it takes from clients that are slow, greedy or deaf, and for how long."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from infra.web import server
from infra.web.proxies import Proxies
from infra.web.server import serving
from tests.infra.web.serving import application, served

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
LARGE = 32 * 1024 * 1024


@asynccontextmanager
async def dialled(
    app: ASGIApp, window: int | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A plain connection to a server of this application."""
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(app, listener):
        client = socket.socket()
        if window is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, listener.getsockname())
        reader, writer = await asyncio.open_connection(sock=client)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def ended(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("said", [b"", GET, GET + b"\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    async with dialled(Response("well")) as (reader, writer):
        writer.write(said)
        answered = said.endswith(b"\r\n\r\n")
        if answered:
            assert b"200" in await reader.readuntil(b"well")
            writer.write(b"\r\n")  # counts as a sign of life, and begins no request
        assert await ended(reader) == b""


async def test_a_head_that_trickles_in_gets_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    async with dialled(Response("well")) as (reader, writer):
        writer.write(GET)
        gone = asyncio.create_task(ended(reader))
        while not gone.done():
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.02)
        assert await gone == b""


@pytest.mark.parametrize(
    "said", [b"GET /" + b"a" * 900, GET + b"X: " + b"a" * 900, GET + b"X: y\r\n" * 150]
)
async def test_a_head_without_end_is_refused(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(server, "HEAD_BYTES", 500)
    async with dialled(Response("well")) as (reader, writer):
        writer.write(said)
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.endswith(b"The head of the request is too long.")


async def test_requests_follow_each_other_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_BYTES", 200)
    async with dialled(Response("well")) as (reader, writer):
        for _ in range(5):
            writer.write(GET + b"X: " + b"a" * 100 + b"\r\n\r\n")
            async with asyncio.timeout(10):
                assert b"200" in await reader.readuntil(b"well")


async def test_an_answer_that_is_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "UNREAD_SECONDS", 0.2)
    async with dialled(Response(b"x" * LARGE), window=4_096) as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET + b"\r\n")
        await asyncio.sleep(1)
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await ended(reader)) < LARGE


@pytest.mark.parametrize(
    ("trusted", "seen"), [((), "127.0.0.1 http"), (("127.0.0.1",), "192.0.2.7 https")]
)
async def test_who_forwards_is_believed_only_where_settings_say_so(
    trusted: tuple[str, ...], seen: str
) -> None:
    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(f"{scope['client'][0]} {scope['scheme']}")(scope, receive, send)

    async with served(Proxies(tell, trusted)) as url, httpx.AsyncClient() as http:
        forwarded = {"x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https"}
        assert (await http.get(url, headers=forwarded)).text == seen


async def test_a_message_on_a_socket_is_no_larger_than_a_request() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(application(), listener, message_bytes=1_000):
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/graphql"
        async with connect(url, subprotocols=["graphql-transport-ws"]) as wire:  # type: ignore[list-item]
            await wire.send('{"type":"ping","payload":{"a":"' + "a" * 1_000 + '"}}')
            with pytest.raises(ConnectionClosedError) as closed:
                await wire.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
