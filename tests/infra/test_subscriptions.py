"""What a subscriber gets of the live stream, over real sockets."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.client import connect

from infra.replay.options import ReplayOptions
from infra.replay.server import Replayer
from tests.infra.clients import (
    FOLLOW,
    Wire,
    began,
    following,
    new_connector,
    numbers,
    read,
    running,
    save,
    talking,
    ticks,
)
from tests.infra.exchange import Exchange
from tests.infra.feeds.recorded import RECORDED
from tests.service import Service

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TYPES = {"book_ticker": "QUOTE"}


def told(message: dict[str, Any], instruments: list[str]) -> dict[str, Any]:
    """A message in the words of the expectations."""
    time = message["eventTime"]
    assert message["instrument"] in instruments
    return {
        "exchange": message["exchange"],
        "type": message["type"],
        "price": message["price"],
        "size": message["quantity"],
        "side": message["side"],
        "trade_id": message["sequence"],
        "timestamp_ms": None if time is None else milliseconds(time),
    }


def expected(event: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    """An expectation; of trades all is known, of others what it says."""
    kind = event["message_type"]
    trade = "size" in event
    return {
        "exchange": event["exchange"],
        "type": TYPES.get(kind, kind.upper()),
        "price": event["price"],
        "size": event["size"] if trade else message["quantity"],
        "side": event["side"].upper() if trade else message["side"],
        "trade_id": event["trade_id"] if trade else message["sequence"],
        "timestamp_ms": event["timestamp_ms"],
    }


def milliseconds(time: str) -> Decimal:
    microseconds = (datetime.fromisoformat(time) - EPOCH) // timedelta(microseconds=1)
    return Decimal(microseconds) / 1000


@pytest.mark.parametrize("recording", ["binance", "okx", "coinbase", "coinbase_advanced"])
async def test_every_recorded_frame_reaches_a_subscriber_exact(
    service: Service, recording: str
) -> None:
    cases = [case for case in RECORDED if case.id.rpartition("-")[0].replace("-", "_") == recording]
    assert cases
    async with Exchange() as exchange:
        venue = cases[0].venue.name
        async with (
            running(service, url=exchange.url, venue=venue) as connector,
            following(service, connector) as events,
        ):
            await began(events)
            await exchange.send(*(case.frame.decode() for case in cases))
            wanted = [event for case in cases for event in case.events]
            messages = await read(events, len(wanted))
    for message, event in zip(messages, wanted, strict=True):
        native = [event["instrument_native"]] if "instrument_accept" in event else []
        assert told(message, native or [event["instrument"]]) == expected(event, message)


async def test_what_the_replayer_plays_reaches_a_subscriber_as_played(service: Service) -> None:
    async with Replayer(ReplayOptions(rate=100, venues=("binance",))) as replayer:
        url = replayer.url("binance", "/ws/bnbbtc@trade")
        async with (
            connect(url) as heard,
            running(service, url=url, venue="BINANCE") as connector,
            following(service, connector) as events,
        ):
            await began(events)
            messages = await read(events, 1)
            while len(messages) < 5:
                messages += (await events.next())["messages"]["messages"]
            played = {}
            while len(played) < 20 and not {m["sequence"] for m in messages} <= played.keys():
                frame = json.loads(await heard.recv())
                played[str(frame["t"])] = frame
    for message in messages:
        frame = played[message["sequence"]]
        assert message["price"] == frame["p"]
        assert message["quantity"] == frame["q"]
        assert message["side"] == ("SELL" if frame["m"] else "BUY")
        assert milliseconds(message["eventTime"]) == frame["T"]


async def test_a_subscription_that_begins_now_loses_nothing_after_its_first_event(
    service: Service,
) -> None:
    connector = await new_connector(service)
    await save(service, connector, ticks(0))
    async with following(service, connector) as events:
        cursor = await began(events)
        await save(service, connector, ticks(*range(1, 100)))
        assert numbers(await read(events, 99)) == list(range(1, 100))
    async with following(service, connector, after=cursor) as events:
        assert numbers(await read(events, 99)) == list(range(1, 100))


async def test_every_delivers_all_and_latest_the_newest_of_each_instrument(
    service: Service,
) -> None:
    connector = await new_connector(service)
    names = ("A-X", "B-X", "C-X")
    mixed = [ticks(n, instrument=name)[0] for n in range(100) for name in names]
    async with (
        following(service, connector, delivery={"mode": "EVERY"}) as every,
        following(service, connector, delivery={"mode": "LATEST"}) as latest,
    ):
        await began(every)
        await began(latest)
        await save(service, connector, mixed)
        all = await read(every, 300)
        assert [(m["instrument"], m["sequence"]) for m in all] == [
            (m["instrument"], m["sequence"]) for m in mixed
        ]
        newest = await read(latest, 3)
        assert {(m["instrument"], m["sequence"]) for m in newest} == {(n, "99") for n in names}


async def test_samples_come_at_most_once_an_interval_and_are_the_newest(service: Service) -> None:
    connector = await new_connector(service)
    loop = asyncio.get_running_loop()
    sampled = {"mode": "SAMPLE", "intervalMs": 400}
    async with following(service, connector, delivery=sampled) as events:
        await began(events)
        started = loop.time()
        await save(service, connector, ticks(1))
        assert numbers(await read(events, 1)) == [1]
        await save(service, connector, ticks(2))
        await save(service, connector, ticks(3, 4))
        assert numbers(await read(events, 1)) == [4]
        assert loop.time() - started >= 0.4


async def test_samples_of_one_instrument_do_not_wait_for_those_of_another(
    service: Service,
) -> None:
    connector = await new_connector(service)
    hourly = {"mode": "SAMPLE", "intervalMs": 3_600_000}
    async with following(service, connector, delivery=hourly) as events:
        await began(events)
        await save(service, connector, ticks(1, instrument="A-X"))
        assert numbers(await read(events, 1)) == [1]
        await save(service, connector, ticks(2, 3, instrument="A-X"))
        await save(service, connector, ticks(4, instrument="B-X"))
        (next_one,) = await read(events, 1)
        assert (next_one["instrument"], next_one["sequence"]) == ("B-X", "4")


@pytest.mark.parametrize("mode", ["LATEST", "SAMPLE"])
async def test_newest_only_resumes_with_the_newest_of_what_was_missed(
    service: Service, mode: str
) -> None:
    connector = await new_connector(service)
    start = (await save(service, connector, ticks(0)))["cursor"]
    for number in range(1, 6):
        await save(service, connector, ticks(number, instrument="A-X"))
        await save(service, connector, ticks(number, instrument="B-X"))
    delivery = {"mode": mode, **({"intervalMs": 10} if mode == "SAMPLE" else {})}
    async with following(service, connector, after=start, delivery=delivery) as events:
        missed = await read(events, 2)
        assert {(m["instrument"], m["sequence"]) for m in missed} == {("A-X", "5"), ("B-X", "5")}
        await save(service, connector, ticks(6, instrument="A-X"))
        assert numbers(await read(events, 1)) == [6]


async def refusal(service: Service, **variables: Any) -> dict[str, Any]:
    """The error with which a subscription is refused."""
    async with service.subscription(FOLLOW, variables) as events:
        answer = json.loads(await events.socket.recv())
    assert answer["type"] == "error", answer
    (error,) = answer["payload"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    return dict(error)


@pytest.mark.parametrize(
    "delivery",
    [
        {"mode": "SAMPLE"},
        {"mode": "SAMPLE", "intervalMs": 9},
        {"mode": "SAMPLE", "intervalMs": 3_600_001},
        {"mode": "LATEST", "intervalMs": 100},
        {"intervalMs": 100},
    ],
)
async def test_an_interval_that_does_not_fit_is_refused_by_name(
    service: Service, delivery: dict[str, Any]
) -> None:
    error = await refusal(service, delivery=delivery)
    assert error["extensions"]["field"] == "delivery.intervalMs"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("connectorIds", ["Q29ubmVjdG9yOng="] * 101),
        ("exchanges", [f"e{n}" for n in range(101)]),
        ("instruments", [f"I{n}" for n in range(101)]),
        ("types", ["TRADE"] * 101),
    ],
)
async def test_lists_of_more_than_a_hundred_are_refused_by_name(
    service: Service, field: str, values: list[str]
) -> None:
    error = await refusal(service, filter={field: values})
    assert error["extensions"]["field"] == f"filter.{field}"
    assert "100" in error["message"]


async def test_filters_admit_what_they_say_and_nothing_else(service: Service) -> None:
    mine, other = await new_connector(service), await new_connector(service)
    now = datetime.now(UTC)
    sent = [
        (other, ticks(1, instrument="A-X")),
        (mine, ticks(2, instrument="A-X", exchange="there")),
        (mine, ticks(3, instrument="A-X", exchange="here", type="QUOTE")),
        (mine, ticks(4, instrument="B-X", exchange="here")),
        (mine, ticks(5, instrument="C-X", exchange="here", type="BOOK")),
    ]
    admitted: list[tuple[dict[str, Any], list[int]]] = [
        ({"connectorIds": [mine, other]}, [1, 2, 3, 4, 5]),
        ({"connectorIds": [mine]}, [2, 3, 4, 5]),
        ({"connectorIds": [mine, other], "exchanges": ["here"]}, [3, 4, 5]),
        ({"connectorIds": [mine, other], "exchanges": ["there", "custom"]}, [1, 2]),
        ({"connectorIds": [mine, other], "instruments": ["A-X"]}, [1, 2, 3]),
        ({"connectorIds": [mine], "instruments": ["A-X", "C-X"]}, [2, 3, 5]),
        ({"connectorIds": [mine], "types": ["TRADE"]}, [2, 4]),
        ({"connectorIds": [mine], "types": ["QUOTE", "BOOK"]}, [3, 5]),
        (
            {"connectorIds": [mine], "types": ["QUOTE"], "instruments": ["A-X", "B-X"]},
            [3],
        ),
        ({"connectorIds": [mine], "since": iso(now - timedelta(minutes=5))}, [2, 3, 4, 5]),
        ({"connectorIds": [mine], "until": iso(now + timedelta(minutes=5))}, [2, 3, 4, 5]),
        ({"connectorIds": [mine], "since": iso(now + timedelta(minutes=5))}, []),
        ({"connectorIds": [mine], "until": iso(now - timedelta(minutes=5))}, []),
        ({"connectorIds": [mine], "instruments": ["a-x"]}, []),
    ]
    everything = {"connectorIds": [mine, other]}
    filters = [everything, *(filter for filter, _ in admitted)]
    start = (await save(service, other, ticks(0)))["cursor"]
    async with talking(service) as live:
        for at, filter in enumerate(filters):
            await live.subscribe(str(at), FOLLOW, filter=filter)
            assert (await live.recv())["payload"]["data"]["messages"]["messages"] == []
        for connector, messages in sent:
            await save(service, connector, messages)
        await save(service, other, ticks(6, exchange="fence", type="OTHER"))
        heard = await sorted_out(
            live, len(filters), [6, *(len(numbers) for _, numbers in admitted)]
        )
        assert heard[0] == [1, 2, 3, 4, 5, 6]
        assert [without_fence(numbers) for numbers in heard[1:]] == [one for _, one in admitted]
    async with talking(service) as resumed:
        for at, filter in enumerate(filters):
            await resumed.subscribe(str(at), FOLLOW, filter=filter, after=start)
        await save(service, other, ticks(7, exchange="fence", type="OTHER"))
        heard = await sorted_out(
            resumed, len(filters), [7, *(len(numbers) for _, numbers in admitted)]
        )
        assert heard[0] == [1, 2, 3, 4, 5, 6, 7]
        assert [without_fence(numbers) for numbers in heard[1:]] == [one for _, one in admitted]


def without_fence(numbers: list[int]) -> list[int]:
    """Numbers of what the test is about, not of what tells that it is over."""
    return [number for number in numbers if number < 6]


async def sorted_out(wire: Wire, operations: int, wanted: list[int]) -> list[list[int]]:
    """What each operation heard, once every one of them has as many messages as wanted."""
    heard: list[list[int]] = [[] for _ in range(operations)]
    while any(len(got) < count for got, count in zip(heard, wanted, strict=True)):
        event = await wire.recv()
        assert event["type"] == "next", event
        heard[int(event["id"])] += numbers(event["payload"]["data"]["messages"]["messages"])
    return heard


def iso(time: datetime) -> str:
    return time.isoformat()
