import base64
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.identity import HOME_WORKSPACE_ID, Viewer
from domain.messages import (
    MessageBatchRecord,
    MessageType,
    QuarantinedFrame,
    QuarantineReason,
    SequenceGap,
    Side,
)
from domain.positions import Position
from resolvers import ids
from tests import factories
from tests.factories import NOW
from tests.infra.postgres.writing import a_connector
from tests.resolvers.world import World, connector_id

ALL = """id connectorId connector { name } exchange instrument type price quantity side sequence eventTime receivedAt data
  detail { __typename ... on QuoteDetail { bid bidQuantity ask askQuantity }
    ... on CandleDetail { open interval start closed } ... on BookDetail { snapshot bids { price quantity } } }"""
PAGE = """query($filter: MessageFilter, $first: Int, $after: String, $last: Int, $before: String, $order: MessageOrder) {
  messages(filter: $filter, first: $first, after: $after, last: $last, before: $before, order: $order) {
    edges { cursor node { sequence } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }"""


async def store(world: World, count: int, **values: Any) -> list[Any]:
    """Messages a millisecond apart, numbered by their sequence."""
    messages = factories.messages(count, **values)
    for number, message in enumerate(messages):
        message.sequence = str(number)
    await factories.store(world.database, messages)
    return messages


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
    found = await world.ask(f"{{ messages {{ edges {{ node {{ {ALL} }} }} }} }}")
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
        f"{{ messages(order: OLDEST_FIRST) {{ edges {{ node {{ {ALL} }} }} }} }}"
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
        f"{{ messages(first: 50) {{ edges {{ cursor node {{ {ALL} }} }} pageInfo {{ endCursor }} }} }}"
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
    elsewhere = factories.workspace()
    await factories.save(world.database, elsewhere)
    messages = await store(world, 3, workspace_id=elsewhere.id)
    assert (await page(world))[1]["totalCount"] == 0
    id = ids.global_id("Message", messages[0].id)
    document = "query($id: ID!) { node(id: $id) { id } }"
    assert (await world.ask(document, id=id))["node"] is None
    assert (await world.ask(document, Viewer(elsewhere.id), id=id))["node"] == {"id": id}


async def records(world: World, key: UUID) -> tuple[QuarantinedFrame, SequenceGap]:
    """Two batches, two quarantined frames and a gap."""
    about: dict[str, Any] = {"workspace_id": HOME_WORKSPACE_ID, "connector_id": key}
    for number in (1, 2):
        await factories.save(
            world.database,
            MessageBatchRecord(
                id=number,
                last_id=number,
                message_count=number,
                byte_count=5_000_000_000,
                first_received_at=NOW,
                last_received_at=NOW + timedelta(milliseconds=20),
                duration_ms=1.5,
                **about,
            ),
        )
    frames = [
        QuarantinedFrame(
            id=UUID(int=number),
            received_at=NOW,
            reason=QuarantineReason.MALFORMED,
            explanation="not JSON",
            source="wss://x",
            frame=frame,
            frame_bytes=len(frame),
            **about,
        )
        for number, frame in enumerate((b"{oops", b"\xff\x00"))
    ]
    gap = SequenceGap(
        id=factories.new_id(),
        instrument="BTC-USDT",
        type=MessageType.BOOK,
        after_sequence=5,
        before_sequence=9_000_000_000,
        missed=8_999_999_994,
        noticed_at=NOW,
        **about,
    )
    await factories.save(world.database, *frames, gap)
    return frames[0], gap


BATCHES = """{ totalCount edges { node { id connectorId connector { name } messageCount byteCount span durationMs
  idempotencyKey } } }"""
FRAMES = "{ totalCount edges { node { id reason text base64 frameBytes state replayedAt } } }"
GAPS = "{ totalCount edges { node { id instrument type missed beforeSequence noticedAt } } }"


async def test_records_are_listed_newest_first_for_all_and_for_one(world: World):
    key = await a_connector(world.database, name="mine")
    await records(world, key)
    everything = await world.ask(
        f"{{ messageBatches {BATCHES} quarantine {FRAMES} sequenceGaps {GAPS} }}"
    )
    batches = everything["messageBatches"]
    assert batches["totalCount"] == 2
    assert batches["edges"][0]["node"] == {
        "id": ids.global_id("MessageBatchRecord", 2),
        "connectorId": connector_id(key),
        "connector": {"name": "mine"},
        "messageCount": 2,
        "byteCount": 5_000_000_000,
        "span": "PT0.02S",
        "durationMs": 1.5,
        "idempotencyKey": None,
    }
    binary, text = (edge["node"] for edge in everything["quarantine"]["edges"])
    assert (text["text"], text["reason"], text["state"]) == ("{oops", "MALFORMED", "HELD")
    assert (binary["text"], base64.b64decode(binary["base64"])) == (None, b"\xff\x00")
    (gap,) = everything["sequenceGaps"]["edges"]
    assert gap["node"]["missed"] == 8_999_999_994
    document = f"""query($id: ID!) {{ node(id: $id) {{ ... on Connector {{
      messageBatches: batches {BATCHES} quarantine {FRAMES} sequenceGaps {GAPS} }} }} }}"""
    assert (await world.ask(document, id=connector_id(key)))["node"] == everything
    document = f"""query($id: ID!) {{ messageBatches(connectorId: $id) {BATCHES}
      quarantine(connectorId: $id) {FRAMES} sequenceGaps(connectorId: $id) {GAPS} }}"""
    assert await world.ask(document, id=connector_id(key)) == everything
    other = await world.ask(document, id=connector_id(UUID(int=9)))
    assert {found["totalCount"] for found in other.values()} == {0}
    assert await world.refused(document, id="nonsense")


async def test_records_page_by_their_cursors(world: World):
    await records(world, await a_connector(world.database))
    document = """query($after: String) { messageBatches(first: 1, after: $after) {
      edges { node { messageCount } } pageInfo { hasNextPage endCursor } } }"""
    seen, cursor = [], None
    for _ in range(2):
        found = (await world.ask(document, after=cursor))["messageBatches"]
        seen += [edge["node"]["messageCount"] for edge in found["edges"]]
        cursor = found["pageInfo"]["endCursor"]
    assert (seen, found["pageInfo"]["hasNextPage"]) == ([2, 1], False)


async def test_every_node_is_found_again_by_its_id(world: World):
    key = await a_connector(world.database)
    frame, gap = await records(world, key)
    (message,) = await store(world, 1, connector_id=key)
    for type, node_key in [
        ("Connector", key),
        ("Message", message.id),
        ("MessageBatchRecord", 1),
        ("QuarantinedFrame", frame.id),
        ("SequenceGap", gap.id),
    ]:
        id = ids.global_id(type, node_key)
        found = await world.ask("query($id: ID!) { node(id: $id) { __typename id } }", id=id)
        assert found["node"] == {"__typename": type, "id": id}


async def test_an_id_of_nothing_is_null_and_what_is_no_id_is_refused(world: World):
    document = "query($id: ID!) { node(id: $id) { id } }"
    for key in (
        "Message:5", "Message:x", "Message:-1", f"Message:{1 << 70}", "Message:٣", "Connector:5", "Query:1",
        "Nonsense:1", f"QuarantinedFrame:{UUID(int=1)}", "Connector:", "MessageBatchRecord:7",
    ):  # fmt: skip
        id = base64.b64encode(key.encode()).decode()
        assert (await world.ask(document, id=id))["node"] is None, key
    for id in ("", "nonsense", "!!", base64.b64encode(b"Message").decode(), "é"):
        assert (await world.refused(document, id=id))["code"] == "BAD_USER_INPUT", id


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


async def test_storage_is_told(world: World):
    await store(world, 3)
    found = await world.ask(
        """{ storage { serverVersion embedded byteCount bus tables { name rowCount byteCount }
             partitions { name since until rowCount byteCount } } }"""
    )
    storage = found["storage"]
    assert (storage["embedded"], storage["bus"]) == (True, "memory")
    rows = {table["name"]: table["rowCount"] for table in storage["tables"]}
    assert rows["messages"] == 3
    assert sum(partition["rowCount"] for partition in storage["partitions"]) == 3


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
        f"{{ messages(order: OLDEST_FIRST) {{ cursor totalCount edges {{ node {{ {ALL} }} }} }} }}"
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


REPLAYED = "... on ReplayedQuarantine { replayedCount messageCount stillHeldCount }"


async def test_a_quarantined_frame_is_read_again_after_a_fix(world: World):
    key = await a_connector(world.database, url="https://x.example", venue="custom")
    about: dict[str, Any] = {
        "workspace_id": HOME_WORKSPACE_ID,
        "connector_id": key,
        "received_at": NOW,
        "reason": QuarantineReason.UNEXPECTED,
        "explanation": "no price",
        "source": "https://x.example",
    }
    good, bad = b'{"s":"BTC-USD","p":"1.5"}', b"{oops"
    frames = [
        QuarantinedFrame(id=UUID(int=number), frame=frame, frame_bytes=len(frame), **about)
        for number, frame in enumerate((good, bad))
    ]
    frame_ids = [ids.global_id("QuarantinedFrame", frame.id) for frame in frames]
    await factories.save(world.database, *frames)
    fix = {"mapping": {"instrument": "s", "price": "p"}}
    await world.do("updateConnector", "", id=connector_id(key), **fix)
    replayed = await world.do(
        "replayQuarantine", REPLAYED + FAULT, connectorId=connector_id(key), ids=frame_ids[1:]
    )
    assert (replayed["replayedCount"], replayed["stillHeldCount"]) == (0, 1)
    replayed = await world.do("replayQuarantine", REPLAYED, connectorId=connector_id(key))
    assert (
        replayed.items()
        >= {
            "replayedCount": 1,
            "messageCount": 1,
            "stillHeldCount": 1,
        }.items()
    )
    found = await world.ask(
        "{ messages { edges { node { instrument price } } } quarantine { edges { node { id state } } } }"
    )
    assert found["messages"]["edges"] == [{"node": {"instrument": "BTC-USD", "price": "1.5"}}]
    states = {edge["node"]["id"]: edge["node"]["state"] for edge in found["quarantine"]["edges"]}
    assert states == dict(zip(frame_ids, ("REPLAYED", "HELD"), strict=True))
    for bad_ids, field in [(["nonsense"], "ids.0"), (frame_ids[:1] * 1001, "ids")]:
        refused = await world.do(
            "replayQuarantine", FAULT, connectorId=connector_id(key), ids=bad_ids
        )
        assert (refused["__typename"], refused["field"]) == ("InvalidInput", field)


async def test_a_connector_without_a_status_is_inactive(world: World):
    made = factories.connector()
    await factories.save(world.database, made)
    found = await world.ask("{ connectors { edges { node { state status { state } } } } }")
    assert found["connectors"]["edges"][0]["node"] == {"state": "INACTIVE", "status": None}
