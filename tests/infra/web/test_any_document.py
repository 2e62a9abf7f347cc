"""Any document over any data is answered alike, byte for byte, by compiled and by ordinary execution."""

import asyncio
from datetime import UTC
from decimal import Decimal
from typing import Any

from graphql import parse, validate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.web.execution import OrdinaryExecutor, PlainFieldsExecutor
from tests.infra.web.sample import SCHEMA, Book, Candle, Level, Side, Tick, World, page, tick
from tests.infra.web.test_execution import ODD, answer, document

LEAVES = ("__typename", "id", "instrument", "price", "side", "receivedAt", "data", "rate", "count")
LEAVES += ("live", "tags", "matrix", "key", "label", "slow", "scaled", "scaled(by: 3)", "promised")
CONDITIONS = (
    "",
    "",
    "",
    "@include(if: $a)",
    "@skip(if: $a)",
    "@include(if: $b)",
    "@skip(if: true)",
)


@st.composite
def selection(draw: Any, depth: int = 0) -> str:
    """A selection on TickView; aliases are unique enough that any two fields may meet."""
    parts = []
    for number in range(draw(st.integers(1, 4))):
        condition = draw(st.sampled_from(CONDITIONS))
        kind = draw(st.sampled_from(["leaf", "leaf", "leaf", "object", "fragment", "union"]))
        if kind == "leaf" or depth > 2:
            leaf = draw(st.sampled_from(LEAVES))
            alias = f"{''.join(filter(str.isalnum, leaf))}{number}x{depth}: "
            parts.append(f"{alias if draw(st.booleans()) or '(' in leaf else ''}{leaf} {condition}")
        elif kind == "object":
            parts.append(f"previous {condition} {{ {draw(selection(depth + 1))} }}")
        elif kind == "fragment":
            on = draw(st.sampled_from(["", "on TickView", "...F"]))
            below = draw(selection(depth + 1))
            parts.append(
                f"...F {condition}" if on == "...F" else f"... {on} {condition} {{ {below} }}"
            )
        else:
            field = draw(st.sampled_from(["detail", "details"]))
            parts.append(
                f"{field} {condition} {{ __typename ... on BookView {{ snapshot bids {{ price q: quantity }} }}"
                " ... on CandleView { open closed } }"
            )
    return " ".join(parts)


plain_values = {
    "id": st.integers(0, 2**63),
    "instrument": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "price": st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    "side": st.none() | st.sampled_from(Side),
    "received_at": st.datetimes(timezones=st.just(UTC)),
    "data": st.sampled_from(["null", '{"a":[1.50, "ü"]}', "[]"]),
    "rate": st.floats(allow_nan=False, allow_infinity=False),
    "count": st.integers(-(2**31), 2**31 - 1),
    "live": st.booleans(),
    "tags": st.lists(st.text("ab", max_size=2), max_size=2),
    "matrix": st.none() | st.lists(st.none() | st.lists(st.none() | st.integers(0, 9)), max_size=2),
    "detail": st.sampled_from(
        [None, Book(False, [Level(Decimal(1), None)]), Candle(Decimal(1), None)]
    ),
    "details": st.lists(st.sampled_from([None, Candle(Decimal(2), True)]), max_size=2),
    "key": st.text("ab", max_size=2),
}


@st.composite
def ticks(draw: Any, depth: int = 0) -> Tick:
    values = {name: draw(values) for name, values in plain_values.items()}
    if draw(st.integers(0, 4)) == 0:
        name = draw(st.sampled_from(sorted(set(ODD) - {"tags"})))
        values[name] = draw(st.sampled_from(ODD[name]))
    if depth < 2 and draw(st.booleans()):
        values["previous"] = draw(ticks(depth + 1))
    return tick(**values)


@given(
    selection(),
    selection(depth=2),
    st.lists(st.none() | ticks(), max_size=3),
    st.booleans(),
    st.booleans(),
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_any_document_and_any_data_give_the_same_bytes(chosen, fragment, listed, a, b):
    spread = "...F" if "...F" in chosen else "... on Node { id ...F }"
    query = f"""
      query Q($a: Boolean!, $b: Boolean = true) {{
        ticks {{ edges {{ cursor node {{ {chosen} {spread} }} }} pageInfo {{ hasNextPage startCursor }} }}
        listed {{ {chosen} {spread} }}
        optional {{ {chosen} {spread} t: count @include(if: $b) u: count @skip(if: $a) }}
      }}
      fragment F on TickView {{ {fragment.replace("...F", "live")} }}
    """
    assert not validate(SCHEMA, parse(query))
    variables = {"a": a, "b": b}
    some = [item for item in listed if item is not None]
    world = World(ticks=page(some), listed=listed, optional=next(iter(listed), None))
    parsed = document(query, variables)
    ordinary = asyncio.run(answer(OrdinaryExecutor, parsed, world, variables))
    for _ in range(2):
        assert asyncio.run(answer(PlainFieldsExecutor, parsed, world, variables)) == ordinary
