"""Compiled selections answer byte for byte what GraphQL's ordinary execution answers."""

import asyncio
import inspect
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from graphql import GraphQLError

from infra.web.documents import Documents, Limits
from infra.web.execution import (
    OrdinaryExecutor,
    PlainFieldsExecutor,
    encode,
    execute_event,
)
from infra.web.selections import Document
from tests.infra.web.sample import (
    SCHEMA,
    Book,
    Candle,
    Level,
    Side,
    Tick,
    World,
    page,
    tick,
)

LIMITS = Limits(tokens=20_000, depth=50, cost=10**9, aliases=10_000)


def plainly(errors: Any) -> list[dict[str, Any]]:
    return [{**error.formatted, "cause": repr(error.original_error)} for error in errors]


def document(query: str, variables: dict[str, Any] | None = None) -> Document:
    return Documents(SCHEMA, LIMITS).get(query, None, variables)


def built(executor_class: Any, document: Document, world: World, variables: Any = None) -> Any:
    compiled = executor_class is PlainFieldsExecutor
    return executor_class.build(
        SCHEMA,
        document,
        context_value=world,
        raw_variable_values=variables or {},
        **({"selections": document.selections} if compiled else {}),
    )


async def answer(
    executor_class: Any, document: Document, world: World, variables: dict[str, Any] | None = None
) -> bytes:
    executor = built(executor_class, document, world, variables)
    assert not isinstance(executor, list), executor
    result = executor.execute_operation()
    return encode(await result if inspect.isawaitable(result) else result, plainly)


async def both(
    query: str, world: World, variables: dict[str, Any] | None = None
) -> tuple[Any, Document]:
    """The one answer of both executors, decoded, and the document with what was compiled."""
    parsed = document(query, variables)
    ordinary = await answer(OrdinaryExecutor, parsed, world, variables)
    assert await answer(PlainFieldsExecutor, parsed, world, variables) == ordinary
    return orjson.loads(ordinary), parsed


ALL_FIELDS = """
  __typename id instrument price side receivedAt data rate count live tags matrix key label
  detail { __typename ... on BookView { snapshot bids { price quantity } } ... on CandleView { open } }
  details { ... on CandleView { open closed } }
  previous { id instrument previous { count } }
"""


async def test_a_page_of_plain_fields_is_completed_by_one_function():
    world = World(ticks=page([tick(n, previous=tick(n + 1)) for n in range(20)]))
    query = f"{{ ticks {{ edges {{ cursor node {{ {ALL_FIELDS} }} }} pageInfo {{ endCursor }} }} }}"
    answer, parsed = await both(query, world)
    node = answer["data"]["ticks"]["edges"][1]["node"]
    assert node["price"] == "0.1234567891234567"
    assert node["receivedAt"] == "2026-11-21T10:00:00.000005Z"
    assert node["data"] == {"p": "1.50", "n": 1.0}
    assert parsed.selections.compiled == 1
    assert parsed.selections.surprises == 0


async def test_a_resolved_field_leaves_the_rest_compiled():
    world = World(ticks=page([tick(n) for n in range(3)]))
    query = "{ ticks { edges { node { instrument slow scaled(by: 3) previous { id } } } } }"
    answer, _ = await both(query, world)
    assert answer["data"]["ticks"]["edges"][0]["node"]["slow"] == "BTC-USDT?"


async def test_aliases_fragments_and_merged_fields_keep_their_order():
    world = World(listed=[tick(1), tick(2)])
    query = """
      { listed { b: count ...F a: count ... on Node { id } previous { count } ...F } }
      fragment F on TickView { live previous { instrument } ... { key } }
    """
    world.listed[0].previous = tick(5)
    answer, parsed = await both(query, world)
    assert list(answer["data"]["listed"][0]) == ["b", "live", "previous", "key", "a", "id"]
    assert answer["data"]["listed"][0]["previous"] == {"instrument": "BTC-USDT", "count": 7}
    assert parsed.selections.compiled == 1


async def test_included_and_skipped_fields_follow_the_variables_of_each_request():
    query = """
      query Q($with: Boolean!, $without: Boolean = false) {
        listed { id count @include(if: $with) ...F @skip(if: $without) }
      }
      fragment F on TickView { live @include(if: $with) key }
    """
    parsed = document(query)
    world = World(listed=[tick(1)])
    keys = set()
    for variables in (
        {"with": True},
        {"with": False},
        {"with": True, "without": True},
        {"with": False, "without": True},
        {"with": True, "without": None},
    ):
        fast = await answer(PlainFieldsExecutor, parsed, world, variables)
        assert fast == await answer(OrdinaryExecutor, parsed, world, variables)
        keys.add(tuple(orjson.loads(fast)["data"]["listed"][0] or ()))
    assert len(keys) == 5


async def test_compiled_functions_are_kept_with_the_document():
    parsed = document("{ listed { id } }")
    for _ in range(3):
        await answer(PlainFieldsExecutor, parsed, World(listed=[tick(1)]))
    assert parsed.selections.compiled == 1


class Impostor:
    """Looks like a tick to attribute access, not to its type."""

    def __getattr__(self, name: str) -> Any:
        return getattr(tick(), name)


class Broken(Tick):
    @property
    def label(self) -> str:
        raise RuntimeError("broken")


async def later(value: Any) -> Any:
    return value


ODD = {
    "price": [None, Decimal("NaN"), Decimal("-0"), Decimal("1E+30"), "text", ValueError("x"), 3],
    "instrument": [None, 1, True, 1.5, b"bytes", [], Side.BUY, "ü\u2028\x00", GraphQLError("no")],
    "side": [None, "BUY", "buy", Side.SELL, 3, []],
    "received_at": [
        None,
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001
        datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 0, 0, 7, tzinfo=timezone(timedelta(hours=-5))),
        "2026",
    ],
    "data": [None, "null", '"text"', b"[1,  2]", "{broken", 5],
    "rate": [
        None,
        1,
        True,
        float("nan"),
        float("inf"),
        -0.0,
        1e300,
        "1.5",
        Decimal("0.5"),
        10**400,
    ],
    "count": [None, True, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 1.0, 1.5, "7", Decimal(7)],
    "live": [None, 0, 1, "yes", 1.0, float("nan")],
    "tags": [None, (), ("a",), ["a", None], "text", {"a": 1}, iter(["a"]), {"set"}],
    "matrix": [None, [], [None], [[1.0]], [[2**40]], [(1,)], [1], "ab"],
    "detail": [None, Candle(None, None), Book(1, []), Book(True, [None]), Impostor(), "text"],
    "details": [None, [Book(True, ())], [Level(1, 1)], [None, Candle(Decimal(1), True)]],
    "previous": [None, Impostor(), 5, tick(9, count=None), ValueError("x")],
    "key": [None, 5, 1.5, True, "k"],
    "id": [None, 0, "text", 2**70, 1.5, ValueError("x")],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{number}")
        for name, values in ODD.items()
        for number, value in enumerate(values)
    ],
)
async def test_odd_values_come_out_and_fail_as_ever(name, value):
    def world() -> World:
        # an iterator is spent by the first answer
        spent = iter(["a"]) if isinstance(value, type(iter([]))) else value
        return World(listed=[tick(1), tick(**{"id": 2, name: spent}), tick(3)])

    parsed = document(f"{{ listed {{ {ALL_FIELDS} }} }}")
    ordinary = await answer(OrdinaryExecutor, parsed, world())
    assert await answer(PlainFieldsExecutor, parsed, world()) == ordinary


@pytest.mark.parametrize("name", ["instrument", "price", "previous", "detail", "tags"])
async def test_awaitable_values_are_awaited_once(name):
    def world() -> World:
        value = getattr(tick(previous=tick(5)), name)
        return World(listed=[tick(1), tick(2, **{name: later(value)})])

    parsed = document(f"{{ listed {{ {ALL_FIELDS} }} }}")
    if name == "instrument":  # a computed field reads it too, and must not await it away
        parsed = document("{ listed { instrument count } }")
    ordinary = await answer(OrdinaryExecutor, parsed, world())
    # The compiled function meets the awaitable, gives up, and leaves it to be awaited.
    assert await answer(PlainFieldsExecutor, parsed, world()) == ordinary
    assert b"errors" not in ordinary


@pytest.mark.parametrize(
    "listed",
    [[], (), None, [None], [tick(1), None], iter(()), {}, "ab", 5, [Impostor()], [ValueError("x")]],
    ids=lambda listed: type(listed).__name__,
)
async def test_odd_lists_come_out_and_fail_as_ever(listed):
    await both("{ listed { id count } }", World(listed=listed))


async def test_a_missing_attribute_is_reported_where_it_is_missing():
    world = World(ticks=page([tick(1)]))
    del world.ticks.edges[0].node.count
    answer, parsed = await both("{ ticks { edges { node { id count } } } }", world)
    assert answer["errors"][0]["path"] == ["ticks", "edges", 0, "node", "count"]
    assert parsed.selections.surprises


async def test_members_of_unions_and_interfaces_are_told_by_their_type():
    world = World(detail=Candle(Decimal(1), True), node=tick(3))
    query = """{ detail { __typename ... on BookView { snapshot } ... on CandleView { open closed } }
                 node { __typename id ... on TickView { count } } }"""
    answer, _ = await both(query, world)
    assert answer["data"]["detail"] == {"__typename": "CandleView", "open": "1", "closed": True}
    assert answer["data"]["node"]["id"] == "VGlja1ZpZXc6Mw=="


def event_executor(parsed: Document, executor_class: Any = PlainFieldsExecutor) -> Any:
    return built(executor_class, parsed, World())


def test_an_event_of_plain_fields_is_encoded_at_once():
    executor = event_executor(document("subscription { ticks { id count price } }"))
    assert execute_event(executor, tick(4), plainly) == (
        b'{"data":{"ticks":{"id":"VGlja1ZpZXc6NA==","count":7,"price":"0.1234567891234567"}}}'
    )
    broken = orjson.loads(execute_event(executor, tick(4, count=None), plainly))
    assert broken["data"] is None
    assert broken["errors"][0]["path"] == ["ticks", "count"]


async def test_an_event_with_a_resolved_field_is_awaited():
    executor = event_executor(document("subscription { ticks { slow } }"))
    payload = execute_event(executor, tick(4), plainly)
    assert not isinstance(payload, bytes)
    assert await payload == b'{"data":{"ticks":{"slow":"BTC-USDT?"}}}'


@pytest.mark.parametrize("executor_class", [OrdinaryExecutor, PlainFieldsExecutor])
def test_memory_does_not_grow_with_the_events_of_a_subscription(executor_class):
    executor = event_executor(document("subscription { ticks { id count } }"), executor_class)
    for _ in range(50):
        execute_event(executor, tick(4), plainly)
    assert not executor._relevant_sub_fields


def test_a_result_that_cannot_be_encoded_becomes_an_error():
    executor = event_executor(document("subscription { ticks { instrument } }"))
    payload = orjson.loads(execute_event(executor, tick(4, instrument="\ud800"), plainly))
    assert payload["data"] is None
    assert "surrogates" in payload["errors"][0]["cause"]


async def test_a_thousand_ticks_take_a_fraction_of_the_ordinary_time():
    world = World(ticks=page([tick(n) for n in range(1000)]))
    parsed = document(
        "{ ticks(first: 1000)"
        " { edges { node { id instrument price side receivedAt data count } } } }"
    )
    loop = asyncio.get_running_loop()

    async def fastest(executor_class: Any) -> float:
        times = []
        for _ in range(5):
            start = loop.time()
            await answer(executor_class, parsed, world)
            times.append(loop.time() - start)
        return min(times)

    assert await fastest(PlainFieldsExecutor) < await fastest(OrdinaryExecutor) / 5
