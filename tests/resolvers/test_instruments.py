from decimal import Decimal
from typing import Any

from tests.factories import HOME_WORKSPACE_ID, NOW
from tests.resolvers.world import World, store


async def test_instruments_have_their_last_price_and_message(world: World):
    (message,) = await store(world, 1)
    async with world.database.acquire() as connection:
        await connection.executemany(
            "insert into instruments values ($1, $2, $3, $4, $5, $6)",
            [
                (HOME_WORKSPACE_ID, "binance", "BTC-USDT", Decimal("1.50"), NOW, message.id),
                (HOME_WORKSPACE_ID, "binance", "ETH-USDT", None, NOW, 1),
                (HOME_WORKSPACE_ID, "okx", "BTC-USDT", Decimal(2), NOW, 2),
            ],
        )
    document = """query($filter: InstrumentFilter, $first: Int, $after: String) {
      instruments(filter: $filter, first: $first, after: $after) { totalCount pageInfo { endCursor hasNextPage }
        edges { node { exchange name lastPrice lastTime lastMessage { sequence } } } } }"""

    async def found(**arguments: Any) -> list[str]:
        nodes = [
            e["node"] for e in (await world.ask(document, **arguments))["instruments"]["edges"]
        ]
        return [f"{node['exchange']} {node['name']}" for node in nodes]

    everything = (await world.ask(document))["instruments"]
    assert everything["totalCount"] == 3
    assert everything["edges"][0]["node"] == {
        "exchange": "binance",
        "name": "BTC-USDT",
        "lastPrice": "1.50",
        "lastTime": "2026-11-21T12:00:00.000000Z",
        "lastMessage": {"sequence": "0"},
    }
    assert everything["edges"][1]["node"]["lastMessage"] is None
    assert await found(filter={"search": "btc"}) == ["binance BTC-USDT", "okx BTC-USDT"]
    assert await found(filter={"exchanges": ["okx"]}) == ["okx BTC-USDT"]
    assert await found(filter={"names": ["ETH-USDT"]}) == ["binance ETH-USDT"]
    first = (await world.ask(document, first=2))["instruments"]["pageInfo"]
    assert first["hasNextPage"]
    assert await found(first=2, after=first["endCursor"]) == ["okx BTC-USDT"]
    for filter, field in [
        ({"names": ["x"] * 101}, "filter.names"),
        ({"search": "\0"}, "filter.search"),
        ({"exchanges": ["x" * 5000]}, "filter.exchanges.0"),
    ]:
        assert (await world.refused(document, filter=filter))["field"] == field
