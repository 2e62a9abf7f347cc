"""Source to client: from an exchange's socket to a subscriber's, everything stored in between."""

import asyncio
import time
from statistics import quantiles

import orjson
import uvloop

from tests.bench.report import Figure, figure
from tests.bench.source import source
from tests.bench.world import world

RATE = 1_000
SECONDS = 10.0
BATCH_AGE_MS = 20
FOLLOW = "subscription { messages { ... on MessageBatch { messages { sequence } } } }"


def run() -> list[Figure]:
    """A thousand trades a second from one exchange to one subscriber."""
    return uvloop.run(_run())


async def _run() -> list[Figure]:
    async with source() as exchange, world(batch_age_ms=BATCH_AGE_MS) as service:
        await service.connect(exchange)
        async with service.service.subscription(FOLLOW) as ticks:
            await ticks.next()
            delays: list[float] = []
            total = int(RATE * SECONDS)

            async def read() -> None:
                seen = 0
                while seen < total:
                    text = await ticks.socket.recv(decode=False)
                    now = time.perf_counter()
                    batch = orjson.loads(text)["payload"]["data"]["messages"]["messages"]
                    seen += len(batch)
                    delays.extend(
                        (now - exchange.sent_at[int(message["sequence"])]) * 1000
                        for message in batch
                    )

            reading = asyncio.create_task(read())
            await exchange.pace(RATE, SECONDS)
            async with asyncio.timeout(30):
                await reading
    cuts = quantiles(delays[total // 10 :], n=100)
    return [
        figure(
            f"p50 at {RATE:,} ticks/s",
            cuts[49],
            "ms",
            cuts[49] / BATCH_AGE_MS,
            reach="under 2 batch ages",
        ),
        figure("p99", cuts[98], "ms", cuts[98] / BATCH_AGE_MS),
    ]
