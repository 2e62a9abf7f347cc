"""A client that does not read costs nobody else anything, and is told exactly what it missed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.infra.clients import (
    Wire,
    batch,
    began,
    dialling,
    following,
    new_connector,
    numbers,
    read,
    save,
    ticks,
)
from tests.service import Service

SETTINGS: dict[str, Any] = {
    "allow_private_addresses": True,
    "outbox_events": 16,
    "outbox_bytes": 1_048_576,
}
OTHERS = 99
TICKS = 300
WIDE = " ".join(f"d{at}: data" for at in range(100))
WIDELY = f"""
subscription($filter: MessageFilter) {{
  messages(filter: $filter) {{
    __typename
    ... on MessageBatch {{ cursor messages {{ sequence {WIDE} }} }}
    ... on Gap {{ after before missed reason }}
  }}
}}
"""


@asynccontextmanager
async def stalled(service: Service, connector: str) -> AsyncIterator[Wire]:
    """A subscriber to wide messages with a tiny receive buffer, which reads nothing by itself."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", service.port))
    raw.setblocking(False)
    quiet: dict[str, Any] = {"sock": raw, "max_queue": 1, "ping_interval": None}
    async with dialling(service.url, "graphql-transport-ws", **quiet) as wire:
        await wire.send(type="connection_init", payload=service.credential)
        assert (await wire.recv())["type"] == "connection_ack"
        await wire.subscribe("1", WIDELY, filter={"connectorIds": [connector]})
        assert (await wire.recv())["payload"]["data"]["messages"]["messages"] == []
        try:
            yield wire
        finally:
            wire.socket.transport.abort()


def resident_bytes(service: Service) -> int:
    pages = Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


async def test_one_stalled_client_among_a_hundred(tmp_path: Path, database_url: str) -> None:
    async with Service(tmp_path, database_url=database_url, **SETTINGS) as service:
        await one_stalled_among_a_hundred(service)


async def one_stalled_among_a_hundred(service: Service) -> None:
    connector = await new_connector(service)
    data = {"text": "x" * 4_000}  # 800 KB an event for the stalled one: 120 MB in all
    async with AsyncExitStack() as stack:
        others = [
            await stack.enter_async_context(following(service, connector)) for _ in range(OTHERS)
        ]
        await asyncio.gather(*map(began, others))
        slow = await stack.enter_async_context(stalled(service, connector))
        before = resident_bytes(service)
        reading = asyncio.gather(*(read(one, TICKS) for one in others))
        for number in range(0, TICKS, 2):
            await save(service, connector, ticks(number, number + 1, data=data))
        for messages in await reading:
            assert numbers(messages) == list(range(TICKS))
        assert resident_bytes(service) - before < 40_000_000

        seen, gaps = await caught_up(slow)
        await save(service, connector, ticks(TICKS, TICKS + 1))
        live = (await slow.recv())["payload"]["data"]["messages"]
        assert numbers(live["messages"]) == [TICKS, TICKS + 1]
    assert gaps, "120 MB cannot all have waited somewhere"
    for gap in gaps:
        assert gap["reason"] == "SLOW_CONSUMER"
        missing = list(range(gap["from"], gap["from"] + gap["missed"]))
        assert not set(missing) & set(seen)
        async with following(service, connector, after=gap["after"]) as again:
            fetched: list[int] = []
            while len(fetched) < gap["missed"]:
                event = await batch(again)
                fetched += numbers(event["messages"])
        assert fetched[: gap["missed"]] == missing
        async with following(service, connector, after=gap["before"]) as beyond:
            assert numbers((await batch(beyond))["messages"])[0] == missing[-1] + 1
    missed = sum(gap["missed"] for gap in gaps)
    assert len(seen) + missed == TICKS
    assert seen == sorted(set(seen))


async def caught_up(slow: Wire) -> tuple[list[int], list[dict[str, Any]]]:
    """What the stalled client reads until nothing is missing: the numbers it got, and its gaps."""
    seen: list[int] = []
    gaps: list[dict[str, Any]] = []
    cursor, next_number = None, 0
    while next_number < TICKS:
        event = (await slow.recv())["payload"]["data"]["messages"]
        if event["__typename"] == "Gap":
            assert cursor in (None, event["after"])
            gaps.append({**event, "from": next_number})
            next_number += event["missed"]
            cursor = event["before"]
            continue
        got = numbers(event["messages"])
        assert got == list(range(next_number, next_number + len(got)))
        seen += got
        next_number += len(got)
        cursor = event["cursor"]
    return seen, gaps


async def test_the_service_stops_though_a_client_does_not_read(
    tmp_path: Path, database_url: str
) -> None:
    async with Service(tmp_path, database_url=database_url, **SETTINGS) as service:
        connector = await new_connector(service)
        async with stalled(service, connector), following(service, connector) as events:
            await began(events)
            for number in range(20):
                await save(service, connector, ticks(number, data={"text": "x" * 8_000}))
            await read(events, 20)
            async with asyncio.timeout(10):
                assert await service.stop() == 0
            assert events.socket.close_code == 1001 or await closed(events.socket) == 1001


async def closed(socket: Any) -> int:
    await socket.wait_closed()
    code: int = socket.close_code
    return code
