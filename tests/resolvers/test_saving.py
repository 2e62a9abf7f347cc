from datetime import datetime
from typing import Any
from uuid import UUID

from tests.infra.postgres.writing import a_connector
from tests.resolvers.world import MESSAGE, World, connector_id

SAVED = "... on SavedMessages { connectorId connector { name } savedCount repeated cursor batchId }"

FAULT = "... on InvalidInput { field reason } ... on ConnectorNotFound { id }"


async def save(world: World, key: UUID, *messages: Any, idempotency_key: str = "k") -> Any:
    return await world.do(
        "saveMessages",
        SAVED + FAULT,
        connectorId=connector_id(key),
        idempotencyKey=idempotency_key,
        messages=messages,
    )


async def test_saved_messages_are_stored_once_under_their_key(world: World):
    key = await a_connector(world.database, name="mine")
    message = {
        "instrument": "BTC-USD",
        "type": "TRADE",
        "price": "0.1234567891234567",
        "quantity": 2,
        "side": "BUY",
        "sequence": "7",
        "eventTime": "2026-11-21T12:00:00+01:00",
        "data": {"note": "é", "list": [1, 2.5, None]},
    }
    saved = await save(world, key, message, {"instrument": "ETH-USD", "exchange": "own"})
    assert (saved["savedCount"], saved["repeated"]) == (2, False)
    assert saved["connector"] == {"name": "mine"}
    again = await save(world, key, message, {"instrument": "ETH-USD", "exchange": "own"})
    assert (again["repeated"], again["batchId"]) == (True, saved["batchId"])
    found = await world.ask(
        f"{{ messages(order: OLDEST_FIRST) {{ cursor totalCount edges {{ node {{ {MESSAGE} }} }} }} }}"
    )
    assert found["messages"]["totalCount"] == 2
    assert found["messages"]["cursor"] == saved["cursor"]
    first, second = (edge["node"] for edge in found["messages"]["edges"])
    assert (
        first.items()
        >= {
            "exchange": "binance",
            "type": "TRADE",
            "price": "0.1234567891234567",
            "quantity": "2",
            "eventTime": "2026-11-21T11:00:00.000000Z",
            "data": {"note": "é", "list": [1, 2.5, None]},
        }.items()
    )
    assert second.items() >= {"exchange": "own", "type": "OTHER", "data": None}.items()
    batch = await world.ask("query($id: ID!) { node(id: $id) { __typename } }", id=saved["batchId"])
    assert batch["node"] == {"__typename": "MessageBatchRecord"}
    assert datetime.fromisoformat(first["receivedAt"]).tzinfo is not None


async def test_a_bad_message_saves_none_of_them(world: World):
    key = await a_connector(world.database)
    good = {"instrument": "BTC-USD"}
    for bad in (
        {"instrument": " "},
        {"instrument": "x" * 5000},
        {"instrument": "a\0"},
        {"instrument": "\ud800"},
        {"instrument": "a", "exchange": "x" * 5000},
        {"instrument": "a", "data": float("nan")},
        {"instrument": "a", "data": "\ud800"},
    ):
        refused = await save(world, key, good, bad)
        assert refused["__typename"] == "InvalidInput", bad
        assert "1" in refused["field"]
    for messages, name in [([], "messages"), ([good] * 10_001, "messages")]:
        assert (await save(world, key, *messages))["field"] == name
    for idempotency_key in ("", "x" * 201, "a\0"):
        refused = await save(world, key, good, idempotency_key=idempotency_key)
        assert refused["field"] == "idempotencyKey"


async def test_a_key_that_saved_something_else_is_refused(world: World):
    key = await a_connector(world.database)
    await save(world, key, {"instrument": "BTC-USD"})
    refused = await save(world, key, {"instrument": "ETH-USD"})
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "idempotencyKey")


async def test_messages_of_an_unknown_connector_are_refused(world: World):
    for id in (connector_id(UUID(int=1)), "nonsense"):
        for mutation, input in [
            ("saveMessages", {"idempotencyKey": "k", "messages": [{"instrument": "BTC-USD"}]}),
            ("replayQuarantine", {}),
        ]:
            refused = await world.do(mutation, FAULT, connectorId=id, **input)
            assert (refused["__typename"], refused["id"]) == ("ConnectorNotFound", id)
