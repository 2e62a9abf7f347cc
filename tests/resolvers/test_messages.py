from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.messages import (
    MessageType,
    Side,
)
from domain.positions import Position
from resolvers import ids
from tests import factories
from tests.factories import NOW
from tests.infra.postgres.writing import a_connector
from tests.resolvers.world import MESSAGE, World, connector_id, store
from tests.tenants import a_tenant

PAGE = """query($filter: MessageFilter, $first: Int, $after: String, $last: Int, $before: String, $order: MessageOrder) {
  messages(filter: $filter, first: $first, after: $after, last: $last, before: $before, order: $order) {
    edges { cursor node { sequence } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }"""


async def page(world: World, **arguments: Any) -> tuple[str, dict[str, Any]]:
    found = (await world.ask(PAGE, **arguments))["messages"]
    return " ".join(edge["node"]["sequence"] for edge in found["edges"]), found


async def test_a_message_comes_back_exactly_as_it_was(world: World):
    key = await a_connector(world.database, name="Binance")
    data = '{"p":  0.1234567891234567891, "big": 1e400, "é": "\\u0000"}'
    message = factories.message(
        connector_id=key,
        type=MessageType.QUOTE,
        price=Decimal("0.1234567891234567"),
        quantity=Decimal("1000.00"),
        side=Side.SELL,
        sequence="4711",
        data=data,
        detail='{"bid": "0.10", "ask": "1E+3"}',
    )
    await factories.store(world.database, [message])
    found = await world.ask(f"{{ messages {{ edges {{ node {{ {MESSAGE} }} }} }} }}")
    assert data in world.said[-1]
    node = found["messages"]["edges"][0]["node"]
    del node["data"]
    assert node == {
        "id": ids.global_id("Message", message.id),
        "connectorId": connector_id(key),
        "connector": {"name": "Binance"},
        "exchange": "binance",
        "instrument": "BTC-USDT",
        "type": "QUOTE",
        "price": "0.1234567891234567",
        "quantity": "1000.00",
        "side": "SELL",
        "sequence": "4711",
        "eventTime": "2026-11-21T12:00:00.000000Z",
        "receivedAt": "2026-11-21T12:00:00.000000Z",
        "detail": {
            "__typename": "QuoteDetail",
            "bid": "0.10",
            "bidQuantity": None,
            "ask": "1000",
            "askQuantity": None,
        },
    }


async def test_each_type_has_its_detail(world: World):
    candle = '{"open":"1","high":"2","low":"1","close":"2","volume":"9","start":"2026-11-21T12:00:00+00:00"}'
    details = {
        MessageType.CANDLE: candle,
        MessageType.BOOK: '{"snapshot":true,"bids":[["1.50","2"]],"asks":[]}',
        MessageType.TRADE: None,
    }
    messages = factories.messages(3)
    for message, (type, detail) in zip(messages, details.items(), strict=True):
        message.type, message.detail = type, detail
    await factories.store(world.database, messages)
    found = await world.ask(
        f"{{ messages(order: OLDEST_FIRST) {{ edges {{ node {{ {MESSAGE} }} }} }} }}"
    )
    candle_, book, trade = (edge["node"]["detail"] for edge in found["messages"]["edges"])
    assert candle_ == {
        "__typename": "CandleDetail",
        "open": "1",
        "interval": None,
        "start": "2026-11-21T12:00:00.000000Z",
        "closed": None,
    }
    assert book == {
        "__typename": "BookDetail",
        "snapshot": True,
        "bids": [{"price": "1.50", "quantity": "2"}],
    }
    assert trade is None


async def test_messages_page_both_ways_in_both_orders(world: World):
    await store(world, 7)
    sequences, found = await page(world, first=3)
    assert (sequences, found["totalCount"]) == ("6 5 4", 7)
    info = found["pageInfo"]
    assert (info["hasNextPage"], info["hasPreviousPage"]) == (True, False)
    sequences, found = await page(world, first=3, after=info["endCursor"])
    assert sequences == "3 2 1"
    sequences, found = await page(world, last=2, before=found["pageInfo"]["startCursor"])
    assert sequences == "5 4"
    assert (await page(world, order="OLDEST_FIRST", first=2))[0] == "0 1"
    assert (await page(world, order="OLDEST_FIRST", last=2))[0] == "5 6"
    assert (await page(world, order=None, first=1))[0] == "6"
    assert (await page(world, first=0))[0] == ""


async def test_a_page_holds_50_unless_asked_and_1000_at_most(world: World):
    await store(world, 60)
    assert len((await page(world))[1]["edges"]) == 50
    assert len((await page(world, first=1000))[1]["edges"]) == 60
    for arguments, field in [
        ({"first": 1001}, "first"),
        ({"last": 5000}, "last"),
        ({"first": 1, "last": 1}, "last"),
        ({"after": "nonsense"}, "after"),
        ({"before": "x"}, "before"),
    ]:
        refused = await world.refused(PAGE, **arguments)
        assert refused == {"code": "BAD_USER_INPUT", "field": field}


async def test_messages_are_found_by_each_condition(world: World):
    mine = await a_connector(world.database)
    await factories.store(
        world.database,
        [
            factories.message(sequence="a", connector_id=mine, instrument="ETH-USDT"),
            factories.message(
                sequence="b",
                exchange="okx",
                type=MessageType.QUOTE,
                received_at=NOW + timedelta(seconds=1),
            ),
            factories.message(sequence="c", received_at=NOW + timedelta(seconds=2)),
        ],
    )

    async def found(**filter: Any) -> str:
        return (await page(world, filter=filter, order="OLDEST_FIRST"))[0]

    assert await found() == "a b c"
    assert await found(connectorIds=[connector_id(mine)]) == "a"
    assert await found(exchanges=["okx"]) == "b"
    assert await found(instruments=["BTC-USDT"], types=["TRADE"]) == "c"
    assert await found(since="2026-11-21T12:00:01Z") == "b c"
    assert await found(until="2026-11-21T13:00:01+01:00") == "a"
    assert await found(exchanges=["binance"], types=[]) == "a c"
    assert await found(instruments=["NONE"]) == ""


async def test_a_bad_filter_names_its_field(world: World):
    many = [str(number) for number in range(101)]
    key = connector_id(UUID(int=1))
    for filter, field in [
        ({"exchanges": many}, "filter.exchanges"),
        ({"instruments": many}, "filter.instruments"),
        ({"connectorIds": [connector_id(UUID(int=n)) for n in range(101)]}, "filter.connectorIds"),
        ({"connectorIds": [key, "nonsense"]}, "filter.connectorIds.1"),
        ({"connectorIds": ["TWVzc2FnZTox"]}, "filter.connectorIds.0"),
        ({"instruments": ["\0"]}, "filter.instruments.0"),
        (
            {"since": "2026-11-21T12:00:00Z", "until": "2026-11-21T12:00:00Z"},
            "filter.until",
        ),
    ]:
        refused = await world.refused(PAGE, filter=filter)
        assert refused == {"code": "BAD_USER_INPUT", "field": field}, filter


async def test_a_time_without_a_zone_is_refused(world: World):
    _, errors = await world.answer(PAGE, filter={"since": "2026-11-21T12:00:00"})
    assert "time zone" in str(errors[0])


async def test_a_connectors_own_messages(world: World):
    mine, other = [await a_connector(world.database, name=name) for name in ("mine", "other")]
    await store(world, 3, connector_id=mine)
    await store(world, 2, connector_id=other, node=1)
    document = """query($id: ID!, $filter: MessageFilter) { node(id: $id) { ... on Connector {
      messages(first: 2, filter: $filter) { totalCount edges { node { sequence connector { name } } } } } } }"""
    found = (await world.ask(document, id=connector_id(mine)))["node"]["messages"]
    assert found["totalCount"] == 3
    assert [edge["node"] for edge in found["edges"]] == [
        {"sequence": number, "connector": {"name": "mine"}} for number in ("2", "1")
    ]
    filter = {"connectorIds": [connector_id(other)]}
    refused = await world.refused(document, id=connector_id(mine), filter=filter)
    assert refused["field"] == "filter.connectorIds"


async def test_a_page_of_50_messages_with_their_connectors_is_two_statements(world: World):
    for number in range(10):
        key = await a_connector(world.database, name=str(number))
        await store(world, 6, connector_id=key, node=number)
    world.database.statements.clear()
    found = await world.ask(
        f"{{ messages(first: 50) {{ edges {{ cursor node {{ {MESSAGE} }} }} pageInfo {{ endCursor }} }} }}"
    )
    assert len({edge["node"]["connector"]["name"] for edge in found["messages"]["edges"]}) == 10
    assert len(world.database.statements) == 2
    world.database.statements.clear()
    await world.ask(
        """{ messages(first: 50) { totalCount edges { node { sequence
             connector { name status { state } } } } } }"""
    )
    assert len(world.database.statements) <= 4


async def test_only_what_is_selected_is_read(world: World):
    await store(world, 3)
    world.database.statements.clear()
    await world.ask(
        """query { messages { ...page } } fragment page on MessageConnection { edges { ... on MessageEdge {
             node { p: price ...more } } } } fragment more on Message { receivedAt ...more2 }
           fragment more2 on Message { detail { __typename } }"""
    )
    (statement,) = world.database.statements
    read = statement.partition(" from ")[0]
    assert "price" in read
    assert "received_at" in read
    assert "detail" in read
    assert "type" in read
    assert "null as data" in read
    assert "null as quantity" in read
    assert "count(" not in statement


async def test_the_position_of_a_page_is_that_of_its_snapshot(world: World):
    messages = await store(world, 3, node=4)
    found = await world.ask("{ messages(first: 1) { cursor edges { node { id } } } }")
    position = Position.decode(found["messages"]["cursor"])
    assert position == Position({4: messages[-1].id})
    found = await world.ask("{ messages(first: 1) { ... on MessageConnection { place: cursor } } }")
    assert Position.decode(found["messages"]["place"]) == position


async def test_nothing_of_another_workspace_is_seen(world: World):
    elsewhere = await a_tenant(world.database)
    messages = await store(world, 3, workspace_id=elsewhere.workspace_id)
    assert (await page(world))[1]["totalCount"] == 0
    id = ids.global_id("Message", messages[0].id)
    document = "query($id: ID!) { node(id: $id) { id } }"
    assert (await world.ask(document, id=id))["node"] is None
    assert (await world.ask(document, elsewhere, id=id))["node"] == {"id": id}


async def test_a_connector_without_a_status_is_inactive(world: World):
    made = factories.connector()
    await factories.save(world.database, made)
    found = await world.ask("{ connectors { edges { node { state status { state } } } } }")
    assert found["connectors"]["edges"][0]["node"] == {"state": "INACTIVE", "status": None}
