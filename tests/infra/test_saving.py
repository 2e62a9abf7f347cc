"""Messages that clients save: all or nothing, once per key, exact to the last digit."""

from typing import Any

import httpx
import orjson
import pytest

from tests.infra.clients import (
    SAVE,
    batch,
    began,
    following,
    new_connector,
    numbers,
    read,
    save,
    talking,
    ticks,
)
from tests.service import Service

EXACT = "0.1234567891234567"
COUNT = """
query($filter: MessageFilter) {
  messages(filter: $filter, first: 1000, order: OLDEST_FIRST) {
    totalCount edges { node { id price quantity sequence eventTime receivedAt data } }
  }
}
"""


async def stored(service: Service, connector: str) -> dict[str, Any]:
    page = await service.ask(COUNT, {"filter": {"connectorIds": [connector]}})
    found: dict[str, Any] = page["messages"]
    return found


@pytest.mark.parametrize(
    "price",
    [EXACT, "-0.5", "1" + "0" * 90, "0." + "0" * 90 + "1", "1.50", "100000", "0", "0.0000000"],
)
async def test_decimals_come_back_digit_by_digit_everywhere(service: Service, price: str) -> None:
    connector = await new_connector(service)
    message = {"instrument": "BTC-USDT", "type": "TRADE", "price": price, "quantity": price}
    filter = {"connectorIds": [connector], "types": ["TRADE"], "instruments": ["BTC-USDT"]}
    async with following(service, connector, filter=filter) as live:
        start = await began(live)
        saved = await save(service, connector, [{**message, "data": {"p": price}}])
        assert saved["savedCount"] == 1
        (heard,) = await read(live, 1)
    async with following(service, connector, after=start) as again:
        (replayed,) = await read(again, 1)
    (edge,) = (await service.ask(COUNT, {"filter": filter}))["messages"]["edges"]
    found = await service.ask(
        "query($id: ID!) { node(id: $id) { ... on Message { price quantity data } } }",
        {"id": heard["id"]},
    )
    for seen in (heard, replayed, edge["node"], found["node"]):
        assert (seen["price"], seen["quantity"]) == (price, price)
    assert found["node"]["data"] == {"p": price}


async def test_ten_thousand_are_saved_together_and_one_more_is_refused(service: Service) -> None:
    connector = await new_connector(service)
    async with following(service, connector) as events:
        await began(events)
        refused = await save(service, connector, ticks(*range(10_001)))
        assert refused["__typename"] == "InvalidInput"
        assert refused["field"] == "messages"
        assert "10000" in refused["reason"]
        assert (await stored(service, connector))["totalCount"] == 0
        saved = await save(service, connector, ticks(*range(10_000)))
        assert (saved["savedCount"], saved["repeated"]) == (10_000, False)
        assert numbers(await read(events, 10_000)) == list(range(10_000))
    assert (await stored(service, connector))["totalCount"] == 10_000


async def test_the_same_key_stores_once_and_for_other_messages_not_at_all(
    service: Service,
) -> None:
    connector, other = await new_connector(service), await new_connector(service)
    async with following(service, connector, other) as events:
        await began(events)
        first = await save(service, connector, ticks(1, 2), "key")
        again = await save(service, connector, ticks(1, 2), "key")
        assert (again["savedCount"], again["repeated"]) == (2, True)
        assert {**again, "repeated": False} == first
        misused = await save(service, connector, ticks(1, 3), "key")
        assert (misused["__typename"], misused["field"]) == ("InvalidInput", "idempotencyKey")
        elsewhere = await save(service, other, ticks(3), "key")
        assert (elsewhere["savedCount"], elsewhere["repeated"]) == (1, False)
        assert numbers(await read(events, 3)) == [1, 2, 3]
    assert (await stored(service, connector))["totalCount"] == 2


async def test_the_cursor_of_a_save_leads_past_it(service: Service) -> None:
    connector = await new_connector(service)
    cursor = (await save(service, connector, ticks(1, 2)))["cursor"]
    async with following(service, connector, after=cursor) as events:
        await save(service, connector, ticks(3))
        assert numbers((await batch(events))["messages"]) == [3]


BAD: list[tuple[str, dict[str, Any]]] = [
    ("instrument", {"instrument": ""}),
    ("instrument", {"instrument": "  "}),
    ("instrument", {"instrument": "a" * 201}),
    ("instrument", {"instrument": "a\0b"}),
    ("exchange", {"exchange": "e\0"}),
    ("sequence", {"sequence": "1" * 201}),
    ("price", {"price": "1" + "0" * 100}),
    ("quantity", {"quantity": "0." + "0" * 100 + "1"}),
    ("data", {"data": "x" * 70_000}),
]


@pytest.mark.parametrize(("field", "values"), BAD)
async def test_a_value_that_cannot_be_stored_is_named_and_nothing_is_stored(
    service: Service, field: str, values: dict[str, Any]
) -> None:
    connector = await new_connector(service)
    refused = await save(service, connector, [*ticks(0, 1), ticks(2, **values)[0] | values])
    assert refused["__typename"] == "InvalidInput", refused
    assert refused["field"] == f"messages.2.{field}"
    assert refused["reason"]
    assert (await stored(service, connector))["totalCount"] == 0


@pytest.mark.parametrize(
    "values",
    [
        {"price": "NaN"},
        {"price": "Infinity"},
        {"price": "1,5"},
        {"price": "٣"},
        {"price": True},
        {"price": 0.1234567891234567},
        {"eventTime": "yesterday"},
        {"eventTime": "2026-01-01T00:00:00"},
        {"type": "trade"},
        {"side": "BOTH"},
        {"instrument": None},
        {"unknown": 1},
    ],
)
async def test_a_value_of_another_kind_is_refused_by_its_path(
    service: Service, values: dict[str, Any]
) -> None:
    connector = await new_connector(service)
    asked = {"connectorId": connector, "idempotencyKey": "k", "messages": [ticks(0)[0] | values]}
    async with talking(service) as wire:
        await wire.subscribe("1", SAVE, input=asked)
        answer = await wire.recv()
        assert answer["type"] == "error", answer
        (error,) = answer["payload"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert next(iter(values)) in error["message"]
    assert (await stored(service, connector))["totalCount"] == 0


@pytest.mark.parametrize("key", ["", "  ", "a\0", "a\n", "k" * 201])
async def test_a_key_that_is_none_is_refused(service: Service, key: str) -> None:
    connector = await new_connector(service)
    asked = {"connectorId": connector, "idempotencyKey": key, "messages": ticks(0)}
    refused = (await service.ask(SAVE, {"input": asked}))["saveMessages"]
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "idempotencyKey")


@pytest.mark.parametrize("id", ["", "x", "Q29ubmVjdG9yOng=", "TWVzc2FnZTox"])
async def test_an_unknown_connector_is_told(service: Service, id: str) -> None:
    refused = await save(service, id, ticks(0))
    assert refused == {"__typename": "ConnectorNotFound", "id": id}


async def test_surrogates_over_http_and_socket_are_refused_and_nothing_breaks(
    service: Service,
) -> None:
    connector = await new_connector(service)
    asked = {"connectorId": connector, "idempotencyKey": "k", "messages": ticks(0)}
    body = orjson.dumps({"query": SAVE, "variables": {"input": asked}}).decode()
    body = body.replace('"BTC-USDT"', '"BTC\\ud800"')
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"{service.url}/graphql",
            content=body,
            headers={"content-type": "application/json"} | service.credential,
        )
    assert response.status_code == 400
    async with talking(service) as wire:
        await wire.socket.send('{"id":"1","type":"subscribe","payload":' + body + "}")
        assert (await wire.closed())[0] == 4400
    assert (await stored(service, connector))["totalCount"] == 0


async def test_data_and_times_come_back_as_they_were(service: Service) -> None:
    connector = await new_connector(service)
    data = {"z": [1, 1.5, None, True, {"é": "\U0001f4b0 \u2028 \x7f"}], "a": "", "n": 10**17}
    await save(
        service,
        connector,
        [
            ticks(0, data=data, eventTime="2026-01-31T23:59:59.1234567+05:30")[0],
            ticks(1, data={"nul": "\0"})[0],
            ticks(2)[0],
        ],
    )
    nodes = [edge["node"] for edge in (await stored(service, connector))["edges"]]
    assert [node["data"] for node in nodes] == [data, {"nul": "\0"}, None]
    assert nodes[0]["eventTime"] == "2026-01-31T18:29:59.123456Z"
