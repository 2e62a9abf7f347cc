"""Questions about the schema alone: worked out once, beside the event loop."""

import asyncio
import threading
from typing import Any

import orjson
import pytest
from graphql import get_introspection_query, graphql_sync, parse

from domain.identity import Caller
from infra.web.execution import PlainFieldsExecutor, encode
from infra.web.introspection import Introspection, asks_about_schema
from infra.web.operations import Request
from tests.infra.web.sample import SCHEMA, World
from tests.infra.web.serving import operations

ALL = get_introspection_query(input_value_deprecation=True)
TYPE = """query First($name: String!) { __type(name: $name) { name } }
query Second($name: String!) { __type(name: $name) { kind } }"""
worked_in: list[threading.Thread] = []


class Watched(PlainFieldsExecutor):
    """Tells where it worked."""

    def execute_operation(self, *args: Any) -> Any:
        worked_in.append(threading.current_thread())
        return super().execute_operation(*args)


@pytest.fixture(autouse=True)
def forgotten():
    worked_in.clear()


def watched(query: str, operation: str | None = None, **variables: Any) -> Watched:
    executor = Watched.build(
        SCHEMA, parse(query), operation_name=operation, raw_variable_values=variables
    )
    assert isinstance(executor, Watched), executor
    return executor


async def asked(
    kept: Introspection, query: str, operation: str | None = None, **variables: Any
) -> Any:
    result = await kept.answer(query, watched(query, operation, **variables))
    return orjson.loads(encode(result, lambda errors: [{"message": str(errors)}]))


async def test_the_answer_is_that_of_an_ordinary_execution():
    assert await asked(Introspection(), ALL) == {"data": graphql_sync(SCHEMA, ALL).data}


async def test_it_is_worked_out_once_and_not_on_the_loop():
    kept = Introspection()
    answers = await asyncio.gather(*(asked(kept, ALL) for _ in range(5)))
    assert await asked(kept, ALL) == answers[0] == answers[4]
    assert len(worked_in) == 1
    assert worked_in[0] is not threading.current_thread()


async def test_each_operation_and_each_variable_has_its_own_answer():
    kept = Introspection()
    for _ in range(2):
        assert await asked(kept, TYPE, "First", name="TickView") == {
            "data": {"__type": {"name": "TickView"}}
        }
        assert await asked(kept, TYPE, "First", name="No") == {"data": {"__type": None}}
        assert await asked(kept, TYPE, "Second", name="TickView") == {
            "data": {"__type": {"kind": "OBJECT"}}
        }
    assert len(worked_in) == 3


async def test_what_is_kept_is_bounded_and_the_last_used_stays():
    kept = Introspection(count=3)
    for number in range(9):
        await asked(kept, TYPE, "First", name="used")
        await asked(kept, TYPE, "First", name=str(number))
    assert len(kept) == 3
    assert len(worked_in) == 10
    small = Introspection(answer_bytes=100)
    assert await asked(small, ALL) == await asked(small, ALL)
    assert len(small) == 0


@pytest.mark.parametrize(
    ("query", "alone"),
    [
        (ALL, True),
        ("{ __typename __schema { description } }", True),
        ("{ ...F } fragment F on Query { ... { __type(name: 1) { name } } }", True),
        ("{ __typename }", False),
        ("{ __schema { description } ticks { totalCount } }", False),
        ("{ __schema { description } ...F } fragment F on Query { ticks { totalCount } }", False),
        ("subscription { __typename }", False),
    ],
)
def test_only_questions_about_the_schema_alone_are_constant(query, alone):
    assert asks_about_schema(watched(query)) is alone


async def test_every_transport_shares_the_answers():
    served = operations(World())
    first, again = [
        await served.execute(served.prepare(Request(ALL), Caller(None, request_id)))
        for request_id in "ab"
    ]
    assert first is again
