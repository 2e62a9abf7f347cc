"""Whatever a source sends, its connector goes on: what cannot be understood is kept, nothing around it is lost."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.infra.clients import (
    batch,
    began,
    eventually,
    following,
    read,
    running,
)
from tests.infra.conftest import FRAME_LIMIT
from tests.infra.exchange import Exchange
from tests.service import Service

MAPPING = {
    "instrument": "s",
    "type": {"value": "trade"},
    "price": "p",
    "quantity": "q",
    "sequence": "n",
    "eventTime": "t",
}
HELD = """
query($id: ID!) {
  quarantine(connectorId: $id, first: 100) {
    totalCount
    edges { node { id reason explanation source text base64 frameBytes state replayedAt } }
  }
}
"""
STATUS = """
query($id: ID!) {
  node(id: $id) {
    ... on Connector { state status { messageCount quarantinedCount reconnectCount lastError } }
  }
}
"""
UPDATE = """
mutation($input: UpdateConnectorInput!) {
  updateConnector(input: $input) { __typename ... on Connector { id } ... on Error { message } }
}
"""
REPLAY = """
mutation($input: ReplayQuarantineInput!) {
  replayQuarantine(input: $input) {
    ... on ReplayedQuarantine { replayedCount messageCount stillHeldCount }
    ... on Error { message }
  }
}
"""


def good(number: int, **values: Any) -> str:
    return json.dumps({"s": "BTC-USDT", "p": "1.5", "n": number, **values})


def trade(**values: str) -> str:
    """A frame whose fields are these JSON texts."""
    fields = {"s": '"BTC-USDT"', "p": '"1.5"', **values}
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


HOSTILE: list[tuple[str, bytes | str, str]] = [
    ("no json", "{", "MALFORMED"),
    ("nothing", "", "MALFORMED"),
    ("blanks", " \n\t ", "MALFORMED"),
    ("two values", "{} {}", "MALFORMED"),
    ("trailing comma", '{"s":"BTC-USDT",}', "MALFORMED"),
    ("html", "<html><body>502 Bad Gateway</body></html>", "MALFORMED"),
    ("binary", bytes(range(256)), "MALFORMED"),
    ("gzip", b"\x1f\x8b\x08\x00" + b"\x00" * 40, "MALFORMED"),
    ("invalid utf-8", b'{"s":"\xff\xfe","p":"1"}', "MALFORMED"),
    ("overlong utf-8", b'{"s":"\xc0\xaf","p":"1"}', "MALFORMED"),
    ("utf-8 surrogate", b'{"s":"\xed\xa0\x80","p":"1"}', "MALFORMED"),
    ("nan", trade(p="NaN"), "MALFORMED"),
    ("infinity", trade(p="-Infinity"), "MALFORMED"),
    ("byte order mark", b"\xef\xbb\xbf{}", "MALFORMED"),
    ("a bare nul", b'{"s":"\x00","p":"1"}', "MALFORMED"),
    ("deep", "[" * 20_000 + "]" * 20_000, "MALFORMED"),
    ("deep within", trade(x="[" * 20_000 + "]" * 20_000), "MALFORMED"),
    ("null", "null", "UNEXPECTED"),
    ("a number", "17", "UNEXPECTED"),
    ("a list", "[]", "UNEXPECTED"),
    ("unknown", '{"event":"subscribed"}', "UNEXPECTED"),
    ("nan as text", trade(p='"NaN"'), "INVALID_VALUE"),
    ("infinity as text", trade(p='"Infinity"'), "INVALID_VALUE"),
    ("a truth for a price", trade(p="true"), "INVALID_VALUE"),
    ("a list for a price", trade(p="[1]"), "INVALID_VALUE"),
    ("a word for a price", trade(p='"free"'), "INVALID_VALUE"),
    ("an absurd price", trade(p="1e400"), "INVALID_VALUE"),
    ("an absurd whole price", trade(p="9" * 5_000), "INVALID_VALUE"),
    ("an absurd price as text", trade(p='"' + "9" * 5_000 + '"'), "INVALID_VALUE"),
    ("a price too fine", trade(p='"0.' + "1" * 40 + '"'), "INVALID_VALUE"),
    ("arabic digits", trade(p='"\u0661\u0662"'), "INVALID_VALUE"),
    ("a number for a name", trade(s="1.5"), "INVALID_VALUE"),
    ("an empty name", trade(s='""'), "INVALID_VALUE"),
    ("a long name", trade(s='"' + "A" * 5_000 + '"'), "INVALID_VALUE"),
    ("nul in a name", trade(s='"BTC\\u0000USDT"'), "INVALID_VALUE"),
    ("half a surrogate in a name", trade(s='"BTC\\ud800"'), "MALFORMED"),
    ("half a surrogate anywhere", trade(x='"\\udfff"'), "MALFORMED"),
    ("nul in a sequence", trade(n='"\\u0000"'), "INVALID_VALUE"),
    ("a time out of range", trade(t="99999999999999999999"), "INVALID_VALUE"),
    ("a time that is none", trade(t='"tomorrow"'), "INVALID_VALUE"),
]


async def test_hostile_frames_are_quarantined_and_the_good_around_them_stored(
    service: Service,
) -> None:
    async with (
        Exchange() as exchange,
        running(service, url=exchange.url, mapping=MAPPING) as connector,
        following(service, connector) as events,
    ):
        source = exchange.url
        await began(events)
        for number, (_, frame, _) in enumerate(HOSTILE):
            await exchange.send(good(number))
            await exchange.send(frame, text=isinstance(frame, str) or None)
            if isinstance(frame, bytes):
                await exchange.send(frame, text=True)
        await exchange.send(good(len(HOSTILE)))
        messages = await read(events, len(HOSTILE) + 1)
        assert [int(message["sequence"]) for message in messages] == list(range(len(HOSTILE) + 1))
        twice = sum(isinstance(frame, bytes) for _, frame, _ in HOSTILE)
        held = await quarantined(service, connector, len(HOSTILE))
        status = await counted(service, connector, len(HOSTILE) + twice)
    for (name, frame, reason), kept in zip(HOSTILE, held, strict=True):
        data = frame.encode() if isinstance(frame, str) else frame
        assert base64.b64decode(kept["base64"]) == data, name
        assert kept["reason"] == reason, (name, kept["explanation"])
        assert kept["frameBytes"] == len(data)
        assert kept["explanation"]
        assert kept["explanation"].isprintable()
        assert kept["source"] == source
        assert kept["state"] == "HELD"
        assert kept["text"] == as_text(data)
    assert status["status"]["reconnectCount"] == 0


def as_text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


async def quarantined(service: Service, connector: str, count: int) -> list[dict[str, Any]]:
    """Quarantined frames, the oldest first, once there are so many."""

    async def held() -> list[dict[str, Any]] | None:
        page = (await service.ask(HELD, {"id": connector}))["quarantine"]
        nodes = [edge["node"] for edge in page["edges"]]
        return nodes[::-1] if page["totalCount"] >= count else None

    found: list[dict[str, Any]] = await eventually(held)
    assert len(found) == count
    return found


async def counted(service: Service, connector: str, count: int) -> dict[str, Any]:
    """The connector, once its status counts so many quarantined frames."""

    async def status() -> dict[str, Any] | None:
        node: dict[str, Any] = (await service.ask(STATUS, {"id": connector}))["node"]
        assert node["state"] == "RUNNING", node
        return node if node["status"]["quarantinedCount"] == count else None

    found: dict[str, Any] = await eventually(status)
    return found


async def test_escapes_come_through_untouched_also_those_of_what_text_columns_cannot_hold(
    service: Service,
) -> None:
    frame = '{"s":"BTC-USDT","p":1.50,"n":1,"x":"\\u0000 \\uD83D\\uDCB0 \\/ é \U0001f4b0"}'
    async with (
        Exchange() as exchange,
        running(service, url=exchange.url, mapping=MAPPING) as connector,
        service.subscription(
            "subscription($id: ID!) { messages(filter: {connectorIds: [$id]})"
            " { ... on MessageBatch { messages { id price data } } } }",
            {"id": connector},
        ) as events,
    ):
        await events.next()
        await exchange.send(frame)
        text = str(await events.socket.recv())
        (message,) = json.loads(text)["payload"]["data"]["messages"]["messages"]
        assert frame in text
        assert message["price"] == "1.50"
        again = await service.ask(
            "query($id: ID!) { node(id: $id) { ... on Message { price data } } }",
            {"id": message["id"]},
        )
        assert again["node"]["data"] == json.loads(frame)


async def test_frames_past_the_limit_are_cut_and_kept(service: Service) -> None:
    sizes = [FRAME_LIMIT + 1, 10_000_000, FRAME_LIMIT * 2]
    async with (
        Exchange() as exchange,
        running(service, url=exchange.url, mapping=MAPPING) as connector,
        following(service, connector) as events,
    ):
        await began(events)
        padding = FRAME_LIMIT - len(good(0, x=""))
        await exchange.send(good(0, x="y" * padding))
        for number, size in enumerate(sizes, 1):
            await exchange.send("x" * size)
            await exchange.send(good(number))
        messages = await read(events, len(sizes) + 1)
        assert [int(message["sequence"]) for message in messages] == [0, 1, 2, 3]
        held = await quarantined(service, connector, len(sizes))
        status = await counted(service, connector, len(sizes))
        assert status["status"]["reconnectCount"] == 0
    for kept, size in zip(held, sizes, strict=True):
        assert (kept["reason"], kept["frameBytes"]) == ("TOO_LARGE", size)
        assert base64.b64decode(kept["base64"]) == b"x" * FRAME_LIMIT


async def test_fragmented_frames_are_one_frame(service: Service) -> None:
    async with (
        Exchange() as exchange,
        running(service, url=exchange.url, mapping=MAPPING) as connector,
        following(service, connector) as events,
    ):
        await began(events)
        whole = good(1)
        await exchange.send_parts([whole[:5], "", whole[5:20], whole[20:]])
        await exchange.send_parts(["{", "no", " json"])
        await exchange.send(good(2))
        assert [int(m["sequence"]) for m in await read(events, 2)] == [1, 2]
        (kept,) = await quarantined(service, connector, 1)
        assert kept["text"] == "{no json"


@pytest.mark.parametrize("venue", ["BINANCE", "OKX", "COINBASE"])
async def test_venues_keep_what_they_do_not_understand(service: Service, venue: str) -> None:
    frames: Sequence[str] = [
        '{"e":"newKind","E":1}',
        '{"arg":{"channel":"new"},"data":[{"x":1}]}',
        '{"type":"new_kind","product_id":"BTC-USD"}',
        '{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","p":"NaN"}}',
        '{"e":"trade","E":1,"s":"BTC\\u0000","t":1,"p":"1","q":"1","T":1,"m":true}',
        "[" * 3_000,
        "not json",
    ]
    async with (
        Exchange() as exchange,
        running(service, url=exchange.url, venue=venue) as connector,
    ):
        await exchange.send(*frames)
        held = await quarantined(service, connector, len(frames))
        await counted(service, connector, len(frames))
    assert [kept["text"] for kept in held] == list(frames)


async def test_a_mended_mapping_turns_held_frames_into_messages_once(service: Service) -> None:
    frames = [json.dumps({"sym": "ETH-EUR", "px": f"{n}.10", "seq": n}) for n in range(30)]
    async with (
        Exchange() as exchange,
        running(service, url=exchange.url, mapping=MAPPING) as connector,
        following(service, connector) as events,
    ):
        await began(events)
        await exchange.send(*frames, "broken")
        await quarantined(service, connector, 31)
        unmended = await replay(service, connector)
        assert unmended == {"replayedCount": 0, "messageCount": 0, "stillHeldCount": 31}

        mended = {"instrument": "sym", "price": "px", "sequence": "seq"}
        changed = await service.ask(UPDATE, {"input": {"id": connector, "mapping": mended}})
        assert changed["updateConnector"]["__typename"] == "Connector", changed
        held = await quarantined(service, connector, 31)
        first = await replay(service, connector, [held[4]["id"], held[30]["id"]])
        assert first == {"replayedCount": 1, "messageCount": 1, "stillHeldCount": 1}
        rest = await replay(service, connector)
        assert rest == {"replayedCount": 29, "messageCount": 29, "stillHeldCount": 1}
        again = await replay(service, connector)
        assert again == {"replayedCount": 0, "messageCount": 0, "stillHeldCount": 1}

        messages = await read(events, 30)
        order = [4, *(number for number in range(30) if number != 4)]
        assert [(m["sequence"], m["price"]) for m in messages] == [
            (str(number), f"{number}.10") for number in order
        ]
        states = [kept["state"] for kept in await quarantined(service, connector, 31)]
        assert states == ["REPLAYED"] * 30 + ["HELD"]
        await exchange.send(json.dumps({"sym": "ETH-EUR", "px": "7", "seq": 30}))
        assert [m["sequence"] for m in (await batch(events))["messages"]] == ["30"]


async def replay(
    service: Service, connector: str, ids: Sequence[str] | None = None
) -> dict[str, Any]:
    done = await service.ask(REPLAY, {"input": {"connectorId": connector, "ids": ids}})
    answer: dict[str, Any] = done["replayQuarantine"]
    return answer
