from typing import Any
from uuid import UUID

from graphql import parse, validate
from graphql.execution import ExecutionResult, Executor, create_source_event_stream

from domain.messages import Gap, GapReason, Message, MessageBatch
from domain.positions import Position
from infra.realtime.streams import MessageStream, StatusStream
from schema.errors import top_level
from schema.root import schema
from tests import factories
from tests.factories import NOW
from tests.infra.postgres.writing import a_connector
from tests.resolvers.world import World, connector_id


async def source(world: World, document: str, **variables: Any) -> Any:
    """What graphql-core gives as the source of a subscription's events."""
    parsed = parse(document)
    assert validate(schema._schema, parsed) == []
    executor = Executor.build(
        schema._schema, parsed, context_value=world.context(), raw_variable_values=variables
    )
    assert isinstance(executor, Executor), executor
    stream: Any = create_source_event_stream(executor)
    return await stream if executor.is_awaitable(stream) else stream


MESSAGES = """subscription($filter: MessageFilter, $after: Cursor, $delivery: Delivery) {
  messages(filter: $filter, after: $after, delivery: $delivery) { __typename } }"""


async def test_the_source_of_a_subscription_is_the_feeds_own_stream(world: World):
    stream = await source(world, MESSAGES, filter={"instruments": ["BTC-USDT"]})
    assert isinstance(stream, MessageStream)
    assert stream.filter.instruments == {"BTC-USDT"}
    assert stream.after is None


async def test_streams_of_the_same_filter_and_delivery_share_a_topic_whatever_their_beginning(
    world: World,
):
    cursor = Position({1: 5 << 12 | 1 << 12}).encode()
    given = {
        "filter": {"instruments": ["A", "B"]},
        "delivery": {"mode": "SAMPLE", "intervalMs": 50},
    }
    same = {**given, "filter": {"instruments": ["B", "A"]}, "after": cursor}
    other = {**given, "delivery": {"mode": "LATEST"}}
    first, second, third = [await source(world, MESSAGES, **case) for case in (given, same, other)]
    assert first.topic == second.topic
    assert first.topic != third.topic
    assert second.after == Position.decode(cursor)


async def test_an_alias_and_literals_reach_the_same_stream(world: World):
    stream = await source(
        world,
        "subscription { ticks: messages(filter: {types: [TRADE]}, delivery: {mode: LATEST}) { __typename } }",
    )
    assert isinstance(stream, MessageStream)
    assert [type.name for type in stream.filter.types] == ["TRADE"]


async def test_what_cannot_be_followed_is_refused_before_it_begins(world: World):
    for variables, field in [
        ({"after": "nonsense"}, "after"),
        ({"delivery": {"mode": "SAMPLE"}}, "delivery.intervalMs"),
        ({"delivery": {"mode": "SAMPLE", "intervalMs": 1}}, "delivery.intervalMs"),
        ({"delivery": {"intervalMs": 100}}, "delivery.intervalMs"),
        ({"filter": {"instruments": ["x"] * 101}}, "filter.instruments"),
        ({"filter": {"connectorIds": ["x"]}}, "filter.connectorIds.0"),
    ]:
        refused = await source(world, MESSAGES, **variables)
        assert isinstance(refused, ExecutionResult), variables
        told = top_level(refused.errors[0].original_error)
        assert told is not None
        assert told[1] == {"code": "BAD_USER_INPUT", "field": field}


STATUS = "subscription($id: ID) { connectorStatus(connectorId: $id) { state } }"


async def test_statuses_of_one_connector_or_of_all_are_the_feeds_own_stream(world: World):
    key = await a_connector(world.database)
    one, everything = await source(world, STATUS, id=connector_id(key)), await source(world, STATUS)
    assert isinstance(one, StatusStream)
    assert (one.connector_id, everything.connector_id) == (key, None)
    assert one.topic != everything.topic


async def test_the_status_of_an_unknown_connector_cannot_be_followed(world: World):
    for id, code in [("nonsense", "BAD_USER_INPUT"), (connector_id(UUID(int=1)), "NOT_FOUND")]:
        refused = await source(world, STATUS, id=id)
        told = top_level(refused.errors[0].original_error)
        assert told is not None
        assert told[1] == {"code": code, "field": "connectorId"}


EVENT = """subscription { messages { __typename
  ... on MessageBatch { cursor publishedAt messages { id price connector { name } } }
  ... on Gap { after before missed reason } } }"""


async def event(world: World, payload: Any) -> Any:
    executor = Executor.build(schema._schema, parse(EVENT), context_value=world.context())
    assert isinstance(executor, Executor)
    result: Any = executor.build_per_event_executor(payload).execute_operation(False)
    result = await result if executor.is_awaitable(result) else result
    assert result.errors is None
    return result.data["messages"]


async def test_a_batch_is_shown_with_its_connectors_in_one_statement(world: World):
    key = await a_connector(world.database, name="mine")
    messages: list[Message] = factories.messages(20, connector_id=key)
    position = Position({0: messages[-1].id})
    world.database.statements.clear()
    batch = await event(world, MessageBatch(messages, position, NOW))
    assert len(world.database.statements) == 1
    assert batch["__typename"] == "MessageBatch"
    assert batch["cursor"] == position.encode()
    assert batch["publishedAt"] == "2026-11-21T12:00:00.000000Z"
    assert len(batch["messages"]) == 20
    assert (
        batch["messages"][0].items() >= {"price": "64000.10", "connector": {"name": "mine"}}.items()
    )


async def test_an_empty_batch_and_a_gap_are_shown(world: World):
    batch = await event(world, MessageBatch([], Position({1: 5 << 12}), NOW))
    assert batch["messages"] == []
    gap = await event(world, Gap(None, "AQ", 17, GapReason.SLOW_CONSUMER))
    assert gap == {
        "__typename": "Gap",
        "after": None,
        "before": "AQ",
        "missed": 17,
        "reason": "SLOW_CONSUMER",
    }
