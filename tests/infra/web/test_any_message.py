"""Any selection of the service's own events is answered alike by compiled and by ordinary execution."""

import asyncio
import inspect
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any
from uuid import UUID

import orjson
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
    validate,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.connectors import Connector, ConnectorState, ConnectorStatus
from domain.messages import Gap, GapReason, Message, MessageBatch, MessageType, Side
from domain.positions import Position
from infra.web.documents import Documents, Limits
from infra.web.execution import PlainFieldsExecutor, execute_event
from schema.root import schema
from tests.factories import NOW, connector, message, new_id
from tests.infra.web.test_execution import plainly

SCHEMA: Any = schema._schema
LIMITS = Limits(tokens=50_000, depth=50, cost=10**9, aliases=10_000)
LOADED = {"connector"}
"""Fields resolved through a loader that the context here has."""


@dataclass
class Loaded:
    """A context whose connectors are at hand."""

    known: dict[UUID, Connector] = field(default_factory=dict)

    @property
    def connectors(self) -> "Loaded":
        return self

    async def load(self, id: UUID) -> Connector | None:
        return self.known.get(id)


def at_hand(name: str, field: GraphQLField) -> bool:
    resolver = field.extensions["strawberry-definition"].base_resolver
    if any(is_required_argument(argument) for argument in field.args.values()):
        return False
    return name in LOADED or name == "id" or resolver is None or resolver.info_parameter is None


@st.composite
def selections(draw: Any, type_: Any, depth: int = 0) -> str:
    """A selection of any fields of a type that need no database."""
    if isinstance(type_, GraphQLUnionType):
        parts = [
            f"... on {member.name} {{ {draw(selections(member, depth))} }}"
            for member in type_.types
        ]
        return " ".join(["__typename", *draw(st.permutations(parts))])
    assert isinstance(type_, GraphQLObjectType)
    names = [
        name
        for name, field in type_.fields.items()
        if at_hand(name, field) and (depth < 3 or is_leaf_type(get_named_type(field.type)))
    ]
    parts = ["__typename"] if draw(st.booleans()) else []
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=8)):
        inner: Any = get_named_type(type_.fields[name].type)
        below = "" if is_leaf_type(inner) else f" {{ {draw(selections(inner, depth + 1))} }}"
        condition = draw(st.sampled_from(["", "", "", " @include(if: $a)", " @skip(if: $b)"]))
        # An alias of its own for each type, name and place: no two selections can be in each other's way.
        alias = f"{name}{type_.name}{draw(st.integers(0, 2))}"
        parts.append(
            f"{alias}{depth}: {name}{condition}" if below == "" else f"{name}{condition}{below}"
        )
    return " ".join(parts)


decimals = st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=9)
times = st.datetimes(timezones=st.just(UTC))
DETAILS = {
    MessageType.TICKER: b'{"bid":"1.50","ask":null,"open":"1E+3"}',
    MessageType.QUOTE: b'{"bid":"1.50","bid_quantity":"2"}',
    MessageType.BOOK: b'{"snapshot":true,"bids":[["1.0","2"],["0.9","0"]],"asks":[]}',
    MessageType.CANDLE: b'{"open":"1","high":"2","low":"0.5","close":"1.5","volume":"9","interval":"1m"}',
}
CONNECTORS = [
    connector(id=new_id(), name="first", mapping={"price": "p"}, subscribe_frames=["a", "b"]),
    connector(id=new_id(), name="second", body="ü"),
]


@st.composite
def messages(draw: Any) -> Message:
    type_ = draw(st.sampled_from(MessageType))
    detail = DETAILS.get(type_) if draw(st.booleans()) else None
    return message(
        id=draw(st.integers(0, 2**63 - 1)),
        connector_id=draw(st.sampled_from([*(item.id for item in CONNECTORS), new_id()])),
        instrument=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=4)),
        type=type_,
        price=draw(decimals),
        quantity=draw(decimals),
        side=draw(st.none() | st.sampled_from(Side)),
        sequence=draw(st.none() | st.text("0123456789", max_size=3)),
        event_time=draw(st.none() | times),
        received_at=draw(times),
        data=draw(st.sampled_from(['{"p": "1.50"}', "null", '[1.0, "\u00fc"]'])),
        detail=None if detail is None else detail.decode(),
    )


events = st.builds(
    MessageBatch, st.lists(messages(), max_size=3), st.just(Position({0: 1 << 22})), times
) | st.builds(
    Gap,
    st.none() | st.just("a"),
    st.just("b"),
    st.none() | st.integers(0, 9),
    st.sampled_from(GapReason),
)


def run(query: str, event: Any, compiled: bool, variables: dict[str, bool]) -> bytes:
    parsed = Documents(SCHEMA, LIMITS).get(query, None, variables)
    executor = PlainFieldsExecutor.build(
        SCHEMA,
        parsed,
        context_value=Loaded({item.id: item for item in CONNECTORS}),
        raw_variable_values=variables,
        selections=parsed.selections if compiled else None,
    )
    assert not isinstance(executor, list), executor

    async def twice() -> bytes:
        payloads = []
        for _ in range(2):
            payload = execute_event(executor, event, plainly)
            payloads.append(await payload if inspect.isawaitable(payload) else payload)
        assert payloads[0] == payloads[1]
        return payloads[0]

    payload = asyncio.run(twice())
    assert parsed.selections.surprises == 0
    assert bool(parsed.selections.compiled) <= compiled
    return payload


@given(selections(SCHEMA.type_map["MessageEvent"]), events, st.booleans(), st.booleans())
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_any_selection_of_any_event_gives_the_same_bytes(selection, event, a, b):
    query = f"subscription S($a: Boolean!, $b: Boolean!) {{ messages {{ {selection} }} }}"
    query = query if "$a" in selection else query.replace("$a: Boolean!, ", "")
    query = query if "$b" in selection else query.replace("$b: Boolean!", "").replace("()", "")
    assert not validate(SCHEMA, parse(query))
    variables = {"a": a, "b": b}
    compiled = run(query, event, True, variables)
    assert compiled == run(query, event, False, variables)
    assert "errors" not in orjson.loads(compiled)


def test_all_plain_fields_of_a_message_are_compiled_into_one_function():
    names = [
        name
        for name, field in SCHEMA.type_map["Message"].fields.items()
        if is_leaf_type(get_named_type(field.type))
    ]
    query = (
        f"subscription {{ messages {{ ... on MessageBatch {{ cursor messages {{ {' '.join(names)}"
        " detail { ... on QuoteDetail { bid } } } } } }"
    )
    parsed = Documents(SCHEMA).get(query, None, None)
    executor = PlainFieldsExecutor.build(SCHEMA, parsed, selections=parsed.selections)
    assert not isinstance(executor, list)
    assert isinstance(
        execute_event(executor, MessageBatch([message()], Position(), NOW), plainly), bytes
    )
    assert (parsed.selections.compiled, parsed.selections.surprises) == (1, 0)


def test_a_state_is_shown_by_its_name():
    query = "subscription { connectorStatus { state connectorId since messageRate delayP50Ms } }"
    parsed = Documents(SCHEMA).get(query, None, None)
    executor = PlainFieldsExecutor.build(SCHEMA, parsed, selections=parsed.selections)
    assert not isinstance(executor, list)
    status = ConnectorStatus(
        connector_id=new_id(), workspace_id=new_id(), state=ConnectorState.STALE, since=NOW
    )
    payload = execute_event(executor, status, plainly)
    assert isinstance(payload, bytes)
    assert b'"state":"STALE"' in payload
