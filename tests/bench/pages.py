"""Pages: messages(first: 1000) with 7 fields over HTTP; against asyncpg fetching the same rows."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

import orjson
import uvloop

from tests.bench.report import Figure, figure
from tests.bench.world import World, world

ROWS = 100_000
ROUNDS = 60
QUERY = """
query Latest { messages(first: 1000, filter: {instruments: ["BTC-USDT"]}) { edges { node {
  id eventTime exchange instrument type price connectorId } } } }
"""
FETCH = """
select id, event_time, exchange, instrument, type, price, connector_id from messages
where workspace_id = $1 and instrument = 'BTC-USDT' order by id desc limit 1000
"""
FILL = """
insert into messages (id, workspace_id, connector_id, exchange, instrument, type, price, quantity,
                      side, sequence, event_time, received_at, data)
select $2::bigint + n * 4096, $1, $1, 'binance',
       (array['BTC-USDT', 'ETH-USDT'])[1 + n % 2], 'trade', 68900 + n % 1000 / 100.0, 1.5, 'buy',
       n::text, now(), now(), '{"e":"trade"}'
from generate_series(1, $3::int) n
"""


def run() -> list[Figure]:
    """The two in turn, so that the machine's noise falls on both."""
    return uvloop.run(_run())


async def _run() -> list[Figure]:
    async with world() as service:
        workspace_id = await _fill(service)
        # Streams and not a client library: reading 200 kB through one takes longer than making them.
        reader, writer = await asyncio.open_connection("127.0.0.1", service.service.port)
        body = orjson.dumps({"query": QUERY})
        head = "POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        head += f"authorization: Bearer {service.service.token}\r\n"
        request = head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body

        async def ask() -> None:
            writer.write(request)
            headers = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(headers.partition(b"content-length:")[2].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            assert answer.count(b'"price"') == 1000, answer[:500]

        async def fetch() -> None:
            assert len(await service.database.fetch(FETCH, workspace_id)) == 1000

        asked, fetched = [], []
        for _ in range(ROUNDS):
            asked.append(await _milliseconds(ask))
            fetched.append(await _milliseconds(fetch))
    ours, floor = median(asked[10:]), median(fetched[10:])
    return [
        figure("messages(first: 1000), 7 fields, over HTTP", ours, "ms"),
        figure("asyncpg fetch of the same rows", floor, "ms", ours / floor, reach="at most 4"),
    ]


async def _fill(service: World) -> str:
    workspace_id: str = await service.database.fetchval("select id from workspaces")
    newest = await service.database.fetchval(
        "select (extract(epoch from now()) * 1000 - 1704067200000)::bigint << 22"
    )
    await service.database.execute(FILL, workspace_id, newest, ROWS)
    await service.database.execute("analyze messages")
    return workspace_id


async def _milliseconds(call: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000
