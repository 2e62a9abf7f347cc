import asyncio
import gzip
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest

from domain.connectors import AuthType, ConnectorState, HttpMethod, Secrets
from domain.messages import QuarantineReason
from infra.feeds.backoff import Backoff
from infra.feeds.budget import RateBudget
from infra.feeds.guard import Guard
from infra.feeds.rest import PollOptions
from tests.infra.feeds.factories import (
    FRAME_LIMIT,
    POLL,
    Answer,
    Asked,
    Source,
    a_connector,
    a_source,
    eventually,
    reading,
)


def price(asked: Asked, source: Source) -> Answer:
    body = {"symbol": "LTCBTC", "price": f"4.{len(source.asked):08}"}
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def poll(source: Source, path: str = "/api/v3/ticker/price", **changes: object):
    return a_connector(source.url + path, **changes)


async def test_answers_become_messages() -> None:
    async with a_source(price) as source, reading(poll(source)) as read:
        await read.shelf.wait_for(3)
    prices = [tick.price for arrival in read.shelf.arrivals for tick in arrival.ticks]
    assert [str(price) for price in prices[:3]] == ["4.00000001", "4.00000002", "4.00000003"]
    assert read.states == ["STARTING", "RUNNING"]


LATENESS = 0.14
"""How late a busy machine may be, in seconds: less than half an interval of the tests that allow it."""


def off_schedule(times: list[float], interval: float) -> float:
    """How far the worst of these times lies from the schedule that begins with the first, in seconds."""
    offsets = [at - times[0] for at in times]
    return max(abs(at - interval * round(at / interval)) for at in offsets)


async def test_polls_keep_to_their_schedule_and_never_overlap() -> None:
    under_way = most = 0

    async def slow(asked: Asked, source: Source) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.4 if len(source.asked) == 2 else 0.1)
        under_way -= 1
        return price(asked, source)

    async with a_source(slow) as source, reading(poll(source, polling_interval_ms=300)) as read:
        await read.shelf.wait_for(5)
    times = [asked.at for asked in source.asked]
    assert most == 1
    # The second answer took longer than an interval: one point of the schedule is left out, none is shifted.
    assert off_schedule(times, 0.3) < LATENESS
    assert times[2] - times[1] > 0.6 - LATENESS


async def test_method_headers_parameters_and_body_are_sent() -> None:
    secrets = Secrets(headers={"X-Team": "a"}, query_parameters={"symbol": "LTC&BTC"})
    async with a_source(price) as source:
        connector = poll(source, "/q?a=1", method=HttpMethod.POST, body='{"x":1}')
        async with reading(connector, secrets):
            await eventually(lambda: source.asked)
    asked = source.asked[0]
    assert (asked.method, asked.body) == ("POST", b'{"x":1}')
    assert parse_qs(urlsplit(asked.target).query) == {"a": ["1"], "symbol": ["LTC&BTC"]}
    assert asked.headers["x-team"] == "a"
    assert asked.headers["content-type"] == "application/json"


async def test_a_symbol_among_the_secret_parameters_names_the_instrument() -> None:
    def trades(asked: Asked, source: Source) -> Answer:
        trade = {"id": 28457, "price": "4.0", "qty": "12.0", "time": 1499865549590}
        return 200, {}, json.dumps([trade | {"isBuyerMaker": True, "isBestMatch": True}]).encode()

    secrets = Secrets(query_parameters={"symbol": "LTCBTC"})
    async with a_source(trades) as source, reading(poll(source, "/api/v3/trades"), secrets) as read:
        await read.shelf.wait_for(1)
    assert read.shelf.arrivals[0].ticks[0].instrument == "LTC-BTC"


async def test_binance_requests_are_signed_as_they_are_sent() -> None:
    secrets = Secrets(api_key="the-key", api_secret="the-secret")
    async with a_source(price) as source:
        connector = poll(source, '/q?symbols=["A","B"]', auth_type=AuthType.HMAC)
        async with reading(connector, secrets):
            await eventually(lambda: source.asked)
    query, _, signature = urlsplit(source.asked[0].target).query.rpartition("&signature=")
    assert hmac.new(b"the-secret", query.encode(), hashlib.sha256).hexdigest() == signature


@pytest.mark.parametrize(
    ("given", "condition"), [("ETag", "if-none-match"), ("Last-Modified", "if-modified-since")]
)
async def test_unchanged_answers_count_as_alive_and_bring_nothing(
    given: str, condition: str
) -> None:
    def unchanged(asked: Asked, source: Source) -> Answer:
        if asked.headers.get(condition) == "v1":
            return 304, {}, b""
        return 200, {given: "v1"}, price(asked, source)[2]

    async with a_source(unchanged) as source, reading(poll(source)) as read:
        await eventually(lambda: len(source.asked) >= 4)
    assert len(read.shelf.arrivals) == 1
    assert read.states == ["STARTING", "RUNNING"]


@pytest.mark.parametrize("status", [418, 429, 503])
@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_obeyed(status: int, as_date: bool) -> None:
    def busy(asked: Asked, source: Source) -> Answer:
        if len(source.asked) > 1:
            return price(asked, source)
        moment = datetime.now(UTC) + timedelta(seconds=2)
        return (
            status,
            {"Retry-After": format_datetime(moment, usegmt=True) if as_date else "1"},
            b"",
        )

    async with a_source(busy) as source, reading(poll(source)) as read:
        await read.shelf.wait_for(1)
    assert source.asked[1].at - source.asked[0].at >= (0.9 if as_date else 1.0)
    assert read.states == ["STARTING", "RECONNECTING", "RUNNING"]


async def test_a_busy_host_is_left_alone_by_all_of_its_connectors() -> None:
    def busy(asked: Asked, source: Source) -> Answer:
        return (
            (429, {"Retry-After": "60"}, b"") if "/busy" in asked.target else price(asked, source)
        )

    budget = RateBudget(1000)
    async with a_source(busy) as source, reading(poll(source), budget=budget) as calm:
        await calm.shelf.wait_for(1)
        async with reading(poll(source, "/busy"), budget=budget) as busy_one:
            await eventually(lambda: busy_one.keeper.last_error)
            asked = len(source.asked)
            await asyncio.sleep(0.4)
            assert len(source.asked) <= asked + 1  # one may have been under way


async def test_connectors_share_the_budget_of_their_host() -> None:
    budget = RateBudget(5)
    async with a_source(price) as source:
        async with reading(poll(source), budget=budget), reading(poll(source), budget=budget):
            await asyncio.sleep(0.9)
        assert 4 <= len(source.asked) <= 5


async def test_a_refusal_is_explained_with_what_the_source_says_but_no_secret() -> None:
    def refuse(asked: Asked, source: Source) -> Answer:
        said = {"code": -1121, "msg": f"Invalid symbol. {asked.headers['authorization']}"}
        return 400, {}, json.dumps(said).encode()

    async with a_source(refuse) as source:
        connector = poll(source, auth_type=AuthType.BEARER)
        async with reading(connector, Secrets(bearer_token="token-12345")) as read:
            await eventually(lambda: read.keeper.state is ConnectorState.ERROR)
    assert read.keeper.last_error is not None
    assert "HTTP status 400" in read.keeper.last_error
    assert "Invalid symbol" in read.keeper.last_error
    assert "token-12345" not in read.keeper.last_error


@pytest.mark.parametrize("understood", [True, False])
async def test_what_a_source_echoes_of_its_credentials_is_stored_nowhere(understood: bool) -> None:
    def echo(asked: Asked, source: Source) -> Answer:
        said = {"symbol": "BTCUSDT", "price": "1", "heard": asked.headers["authorization"]}
        return 200, {}, json.dumps(said if understood else {"heard": said["heard"]}).encode()

    async with a_source(echo) as source:
        connector = poll(source, auth_type=AuthType.BEARER)
        async with reading(connector, Secrets(bearer_token="token-12345")) as read:
            await read.shelf.wait_for(1)
    arrival = read.shelf.arrivals[0]
    stored = b"".join(tick.data.encode() for tick in arrival.ticks)
    if arrival.quarantined is not None:
        stored += arrival.quarantined.frame
        assert "quarantine" in (read.keeper.last_error or "")
    assert (b"Bearer ***" in stored, b"token-12345" in stored) == (True, False)
    assert bool(arrival.ticks) is understood


async def test_server_errors_are_tried_again_until_they_pass() -> None:
    def shaky(asked: Asked, source: Source) -> Answer:
        return (500, {}, b"oops") if len(source.asked) < 3 else price(asked, source)

    async with a_source(shaky) as source, reading(poll(source)) as read:
        await read.shelf.wait_for(1)
    assert read.states == ["STARTING", "RECONNECTING", "RUNNING"]
    assert read.keeper.reconnects == 2


async def test_failing_polls_are_spaced_by_the_backoff_and_stay_on_schedule() -> None:
    options = replace(POLL, backoff=Backoff(0.7, 0.7), random=lambda: 1.0)
    async with (
        a_source(lambda asked, source: (500, {}, b"")) as source,
        reading(poll(source, polling_interval_ms=300), poll=options),
    ):
        await eventually(lambda: len(source.asked) == 3)
    times = [asked.at for asked in source.asked]
    assert off_schedule(times, 0.3) < LATENESS
    assert all(later - earlier > 0.9 - LATENESS for earlier, later in pairwise(times))


async def test_an_answer_past_the_size_limit_is_cut_and_quarantined() -> None:
    def huge(asked: Asked, source: Source) -> Answer:
        return 200, {}, b"[" + b" " * 5_000_000

    async with a_source(huge) as source, reading(poll(source)) as read:
        await read.shelf.wait_for(1)
    frame = read.shelf.arrivals[0].quarantined
    assert frame is not None
    assert frame.reason is QuarantineReason.TOO_LARGE
    assert frame.frame_bytes == 5_000_001
    assert len(frame.frame) == FRAME_LIMIT
    assert read.states == ["STARTING", "RUNNING"]


async def test_a_compressed_answer_is_measured_unpacked() -> None:
    def bomb(asked: Asked, source: Source) -> Answer:
        return 200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 5_000_000)

    async with a_source(bomb) as source, reading(poll(source)) as read:
        await read.shelf.wait_for(1)
    frame = read.shelf.arrivals[0].quarantined
    assert frame is not None
    assert frame.reason is QuarantineReason.TOO_LARGE


async def test_an_answer_larger_than_a_frame_is_still_understood() -> None:
    def many(asked: Asked, source: Source) -> Answer:
        prices = [{"symbol": "LTCBTC", "price": "4.0"}] * 1_000
        return 200, {}, json.dumps(prices).encode()

    async with a_source(many) as source, reading(poll(source)) as read:
        await read.shelf.wait_for(1)
    assert len(read.shelf.arrivals[0].ticks) == 1_000


async def test_redirects_are_followed() -> None:
    def moved(asked: Asked, source: Source) -> Answer:
        if asked.target.startswith("/old"):
            return 302, {"Location": "/api/v3/ticker/price?symbol=LTCBTC&k=v"}, b""
        return price(asked, source)

    secrets = Secrets(query_parameters={"k": "v"}, headers={"X-Team": "a"})
    async with a_source(moved) as source, reading(poll(source, "/old"), secrets) as read:
        await read.shelf.wait_for(1)
    assert source.asked[1].target == "/api/v3/ticker/price?symbol=LTCBTC&k=v"
    assert source.asked[1].headers["x-team"] == "a"


async def test_nothing_secret_follows_a_redirect_to_another_origin() -> None:
    secrets = Secrets(bearer_token="t", query_parameters={"k": "v"}, headers={"X-Team": "a"})
    async with a_source(price) as other:

        def away(asked: Asked, source: Source) -> Answer:
            return 307, {"Location": f"{other.url}/api/v3/ticker/price"}, b""

        async with a_source(away) as source:
            connector = poll(source, auth_type=AuthType.BEARER)
            async with reading(connector, secrets) as read:
                await read.shelf.wait_for(1)
    assert other.asked[0].target == "/api/v3/ticker/price"
    assert not {"authorization", "x-team"} & set(other.asked[0].headers)


async def test_a_redirect_to_a_refused_address_is_refused() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "public.example" else ["10.0.0.1"]

    def inward(asked: Asked, source: Source) -> Answer:
        return 302, {"Location": "http://inside.example/secret"}, b""

    class Outside(Guard):
        """Takes 127.0.0.1 for a public address, as this test's source is there."""

        async def addresses(self, host: str, port: int) -> list[str]:
            if host == "public.example":
                return ["127.0.0.1"]
            return await super().addresses(host, port)

    async with a_source(inward) as source:
        connector = a_connector(source.url.replace("127.0.0.1", "public.example"))
        async with reading(connector, guard=Outside(resolve=resolve)) as read:
            await eventually(lambda: read.keeper.state is ConnectorState.ERROR)
    assert "inside.example leads to an address" in (read.keeper.last_error or "")


async def test_endless_redirects_end() -> None:
    def round_and_round(asked: Asked, source: Source) -> Answer:
        return 302, {"Location": "/again"}, b""

    async with a_source(round_and_round) as source, reading(poll(source)) as read:
        await eventually(lambda: read.keeper.last_error)
    assert "redirects more than 5 times" in (read.keeper.last_error or "")


async def test_a_source_that_does_not_answer_is_given_up_in_time() -> None:
    async def never(asked: Asked, source: Source) -> Answer:
        await asyncio.sleep(0.5)
        return price(asked, source)

    options = PollOptions(read_seconds=0.1, backoff=POLL.backoff)
    async with a_source(never) as source, reading(poll(source), poll=options) as read:
        await eventually(lambda: read.keeper.reconnects >= 2)
    assert "timed out" in (read.keeper.last_error or "")


async def test_a_drip_of_bytes_is_given_up_in_time() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        options = PollOptions(request_seconds=0.3, backoff=POLL.backoff)
        async with reading(a_connector(url), poll=options) as read:
            await eventually(lambda: read.keeper.last_error)
    assert "timed out" in (read.keeper.last_error or "")


async def test_loopback_is_refused() -> None:
    async with a_source(price) as source, reading(poll(source), guard=Guard()) as read:
        await eventually(lambda: read.keeper.state is ConnectorState.ERROR)
    assert source.asked == []
