"""The service stops while clients follow the stream: each is told, and may come back where it was."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

import httpx

from tests.infra.clients import FOLLOW, dialling
from tests.service import Service

SOCKETS = 200
STREAMS = 5


async def test_a_stop_ends_every_socket_and_stream_at_once(
    tmp_path: Path, database_url: str
) -> None:
    async with Service(tmp_path, database_url=database_url) as service, AsyncExitStack() as stack:
        wires = []
        for _ in range(SOCKETS):
            wire = await stack.enter_async_context(dialling(service.url, "graphql-transport-ws"))
            await wire.send(type="connection_init", payload=service.credential)
            assert (await wire.recv())["type"] == "connection_ack"
            await wire.subscribe("1", FOLLOW)
            assert (await wire.recv())["type"] == "next"
            wires.append(wire)
        begun = asyncio.Semaphore(0)
        streams = [asyncio.create_task(streamed(service, begun)) for _ in range(STREAMS)]
        for _ in streams:
            await begun.acquire()
        started = monotonic()
        stopping = asyncio.create_task(service.stop())
        closed = await asyncio.gather(*(wire.closed() for wire in wires))
        texts = await asyncio.gather(*streams)
        told = monotonic() - started
        assert await stopping == 0
        ended = monotonic() - started
    assert {code for code, _ in closed} == {1001}
    for text in texts:
        assert "complete" not in text
        assert "errors" not in text
    assert told < 4
    assert ended < 10
    assert "Traceback" not in service.log.read_text()


async def streamed(service: Service, begun: asyncio.Semaphore) -> str:
    """All that a subscription over SSE gives until it ends, which it must do cleanly."""
    async with (
        httpx.AsyncClient(timeout=30) as client,
        client.stream(
            "POST",
            f"{service.url}/graphql",
            json={"query": FOLLOW},
            headers={"accept": "text/event-stream"} | service.credential,
        ) as answer,
    ):
        text = ""
        async for part in answer.aiter_text():
            text += part
            if "MessageBatch" in part:
                begun.release()
    return text
