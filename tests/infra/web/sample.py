"""A small schema in the house's own style: views over plain objects, some fields computed, some resolved."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NewType

import orjson
import strawberry
from graphql import GraphQLSchema
from strawberry import relay
from strawberry.schema.config import StrawberryConfig


class Side(Enum):
    BUY = "buy"
    SELL = "sell"


@dataclass(slots=True)
class Level:
    price: Any
    quantity: Any


@dataclass(slots=True)
class Book:
    snapshot: Any
    bids: Any


@dataclass(slots=True)
class Candle:
    open: Any
    closed: Any


@dataclass(slots=True)
class Tick:
    id: Any
    instrument: Any
    price: Any
    side: Any
    received_at: Any
    data: Any
    rate: Any
    count: Any
    live: Any
    tags: Any
    matrix: Any
    detail: Any
    details: Any
    previous: Any
    key: Any


@dataclass(slots=True)
class Edge:
    cursor: Any
    node: Any


@dataclass(slots=True)
class PageInfo:
    has_next_page: Any
    has_previous_page: Any
    start_cursor: Any
    end_cursor: Any


@dataclass(slots=True)
class Page:
    edges: Any
    page_info: Any


@dataclass(slots=True)
class World:
    """What the root fields answer with; a test puts anything there."""

    ticks: Any = None
    listed: Any = None
    optional: Any = None
    detail: Any = None
    node: Any = None
    awaited: Any = None
    events: list[Any] = field(default_factory=list)
    viewer: str = "viewer"
    request_id: str = ""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


def decimal_text(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError("not finite")
    return format(value, "f")


def instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


JSON = NewType("JSON", object)
Moment = NewType("Moment", datetime)
SCALARS: dict[object, Any] = {
    Decimal: strawberry.scalar(name="Decimal", serialize=decimal_text, parse_value=Decimal),
    Moment: strawberry.scalar(name="DateTime", serialize=instant, parse_value=str),
    JSON: strawberry.scalar(
        name="JSON", serialize=orjson.Fragment, parse_value=lambda value: value
    ),
}
strawberry.enum(Side)


def view(source: type) -> Any:
    def decorate(cls: Any) -> Any:
        cls.is_type_of = classmethod(lambda cls, value, info: isinstance(value, source))
        return strawberry.type(cls)

    return decorate


@view(Level)
class LevelView:
    price: Decimal
    quantity: Decimal | None


@view(Book)
class BookView:
    snapshot: bool
    bids: list[LevelView]


@view(Candle)
class CandleView:
    open: Decimal
    closed: bool | None


Detail = Annotated[BookView | CandleView, strawberry.union("Detail")]


def label(root: strawberry.Parent[Tick]) -> str:
    """Computed from the value alone."""
    return f"{root.instrument}!"


def promised(root: strawberry.Parent[Tick]) -> str:
    """Plain to look at, but what it gives is to be awaited."""
    return slow(root)  # type: ignore[return-value]


async def slow(root: strawberry.Parent[Tick]) -> str:
    return f"{root.instrument}?"


@strawberry.type
class Keyed(relay.Node):
    id: relay.NodeID[int]


@view(Tick)
class TickView(relay.Node):
    id: relay.NodeID[int]
    instrument: str
    price: Decimal | None
    side: Side | None
    received_at: Moment
    data: JSON
    rate: float
    count: int
    live: bool
    tags: list[str]
    matrix: list[list[int | None] | None] | None
    detail: Detail | None
    details: list[Detail | None]
    previous: "TickView | None"
    key: strawberry.ID
    label: str = strawberry.field(resolver=label)
    promised: str = strawberry.field(resolver=promised)
    slow: str = strawberry.field(resolver=slow)

    @strawberry.field
    def scaled(self: Any, by: int = 2) -> int:
        return int(self.count * by)


async def ticks(info: strawberry.Info, first: int | None = None) -> Any:
    return info.context.ticks


async def listed(info: strawberry.Info) -> Any:
    return info.context.listed


def optional(info: strawberry.Info) -> Any:
    return info.context.optional


def detail(info: strawberry.Info) -> Any:
    return info.context.detail


def node(info: strawberry.Info) -> Any:
    return info.context.node


async def waits(info: strawberry.Info) -> str:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        info.context.cancelled.set()
        raise
    return "done"


@strawberry.type
class Query:
    ticks: relay.Connection[TickView] = strawberry.field(resolver=ticks)
    listed: list[TickView | None] | None = strawberry.field(resolver=listed)
    optional: TickView | None = strawberry.field(resolver=optional)
    detail: Detail | None = strawberry.field(resolver=detail)
    node: relay.Node | None = strawberry.field(resolver=node)
    waits: str = strawberry.field(resolver=waits)

    @strawberry.field
    def failing(self) -> str:
        raise RuntimeError("secret of the house")

    @strawberry.field
    def echo(self, text: str, times: int = 1, id: relay.GlobalID | None = None) -> str:
        return text * times


@strawberry.type
class Mutation:
    @strawberry.mutation
    def rename(self, name: str) -> str:
        return name

    @strawberry.mutation
    def sign_in(self, password: str) -> str:
        return password

    @strawberry.mutation
    def refresh_session(self, token: str) -> str:
        return token


async def events(info: strawberry.Info) -> AsyncIterator[Any]:
    for event in info.context.events:
        yield event


@strawberry.type
class Subscription:
    ticks: TickView = strawberry.subscription(resolver=events)


def build() -> GraphQLSchema:
    schema = strawberry.Schema(
        Query, Mutation, Subscription, config=StrawberryConfig(scalar_map=SCALARS)
    )
    graphql_schema: GraphQLSchema = schema._schema
    return graphql_schema


SCHEMA = build()


def tick(id: int = 1, **changed: Any) -> Tick:
    values: dict[str, Any] = {
        "id": id,
        "instrument": "BTC-USDT",
        "price": Decimal("0.1234567891234567"),
        "side": Side.BUY,
        "received_at": datetime(2026, 11, 21, 10, 0, 0, 5, tzinfo=UTC),
        "data": '{"p": "1.50", "n": 1.0}',
        "rate": 0.5,
        "count": 7,
        "live": True,
        "tags": ["a", "b"],
        "matrix": [[1, None], None],
        "detail": Book(True, [Level(Decimal(1), None)]),
        "details": [Candle(Decimal(2), None), None],
        "previous": None,
        "key": "k",
    }
    return Tick(**(values | changed))


def page(items: list[Any]) -> Page:
    edges = [Edge(str(number), item) for number, item in enumerate(items)]
    return Page(edges, PageInfo(False, False, "0" if edges else None, None))
