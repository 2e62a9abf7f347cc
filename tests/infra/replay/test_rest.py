import itertools
import time
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

import httpx
import pytest

from infra.replay.server import Replayer
from infra.replay.templates import SECOND
from tests.infra.replay.listening import replaying

NOW_MS = 1_795_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOW_MS * 1_000_000

    def __call__(self) -> int:
        return self.now


async def get(
    replayer: Replayer, venue: str, path: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    async with httpx.AsyncClient(timeout=5) as client:
        return await client.get(replayer.url(venue, path), headers=headers)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("ticker/price?symbol=LTCBTC", {"symbol", "price"}),
        ("ticker/price?symbol=OMGBUSD", {"symbol", "price"}),
        ("ticker/bookTicker?symbol=LTCBTC", {"symbol", "bidPrice", "bidQty", "askPrice", "askQty"}),
        ("depth?symbol=BNBBTC", {"lastUpdateId", "bids", "asks"}),
        ("time", {"serverTime"}),
        ("ping", set()),
    ],
)
async def test_binance_answers_with_the_venues_own_fields(path: str, keys: set[str]) -> None:
    async with replaying(venues=("binance",)) as replayer:
        answer = await get(replayer, "binance", f"/api/v3/{path}")
    assert answer.status_code == 200
    assert set(answer.json()) == keys


async def test_binance_prices_are_as_recorded_and_times_are_now() -> None:
    async with replaying(venues=("binance",)) as replayer:
        day = (await get(replayer, "binance", "/api/v3/ticker/24hr?symbol=BNBBTC")).json()
        trades = (await get(replayer, "binance", "/api/v3/trades?symbol=BNBBTC&limit=5")).json()
    assert (day["lastPrice"], day["priceChangePercent"]) == ("4.00000200", "-95.960")
    assert time.time() * 1000 - 3000 < day["closeTime"] <= time.time() * 1000
    assert day["closeTime"] - day["openTime"] == 86_400_000
    assert [trade["price"] for trade in trades] == ["4.00000100"] * 5
    ids = [trade["id"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + 5))
    assert time.time() * 1000 - 3000 < trades[-1]["time"] <= time.time() * 1000


async def test_polls_a_few_seconds_apart_overlap_without_a_hole() -> None:
    clock = Clock()
    polls = []
    async with Replayer(clock=clock) as replayer:
        for _ in range(3):
            answer = await get(replayer, "okx", "/api/v5/market/trades?instId=BTC-USDT&limit=10")
            polls.append({int(trade["tradeId"]): trade for trade in answer.json()["data"]})
            clock.now += 4 * SECOND
    seen = sorted({id for poll in polls for id in poll})
    assert seen == list(range(seen[0], seen[0] + 18))
    for poll, later in itertools.pairwise(polls):
        assert all(poll[id] == later[id] for id in poll.keys() & later.keys())
        assert list(later) == sorted(later, reverse=True)


async def test_binance_lists_all_or_the_symbols_asked_for() -> None:
    async with replaying(venues=("binance",)) as replayer:
        every = (await get(replayer, "binance", "/api/v3/ticker/price")).json()
        path = '/api/v3/ticker/price?symbols=["LTCBTC","OMGBUSD"]'
        two = (await get(replayer, "binance", path)).json()
    assert {row["symbol"] for row in every} >= {"LTCBTC", "OMGBUSD", "NKNUSDT"}
    assert {row["symbol"] for row in two} == {"LTCBTC", "OMGBUSD"}


async def test_binance_klines_are_the_recorded_interval_only_on_its_grid() -> None:
    async with replaying(venues=("binance",)) as replayer:
        path = "/api/v3/klines?symbol=OMGBUSD&interval=1m"
        rows = (await get(replayer, "binance", f"{path}&limit=3")).json()
        cut = (await get(replayer, "binance", f"{path}&startTime={rows[1][0]}")).json()
        none = (await get(replayer, "binance", "/api/v3/klines?symbol=OMGBUSD&interval=5m")).json()
    assert [row[0] % 60_000 for row in rows] == [0, 0, 0]
    assert [row[6] - row[0] for row in rows] == [59_999] * 3
    assert rows[2][0] - rows[0][0] == 120_000
    assert time.time() * 1000 - 120_000 < rows[-1][0] <= time.time() * 1000
    assert [row[0] for row in cut][:2] == [rows[1][0], rows[2][0]]
    assert none == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("ticker/price?symbol=NOSUCH", -1121),
        ("ticker/price?symbol=ltcbtc", -1100),
        ('ticker/price?symbols=["NOSUCH"]', -1121),
        ("ticker/price?symbols=LTCBTC", -1100),
        ("trades", -1102),
        ("trades?symbol=BNBBTC&limit=x", -1100),
        ("depth?symbol=LTCBTC", -1121),
        ("klines?symbol=BNBBTC", -1102),
        ("klines?symbol=BNBBTC&interval=7m", -1120),
    ],
)
async def test_binance_errors_are_the_venues(path: str, code: int) -> None:
    async with replaying(venues=("binance",)) as replayer:
        answer = await get(replayer, "binance", f"/api/v3/{path}")
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert answer.json()["msg"]


async def test_limits_cut_trades_books_and_candles() -> None:
    async with replaying() as replayer:
        book = (await get(replayer, "binance", "/api/v3/depth?symbol=RUNEEUR&limit=7")).json()
        path = "/api/v5/market/books?instId=BTC-USDT&sz=2"
        okx = (await get(replayer, "okx", path)).json()["data"][0]
        path = "/api/v5/market/candles?instId=BTC-USDT&bar=1m&limit=4"
        candles = (await get(replayer, "okx", path)).json()["data"]
    assert (len(book["bids"]), len(book["asks"])) == (7, 7)
    assert (len(okx["bids"]), len(okx["asks"])) == (2, 2)
    starts = [int(row[0]) for row in candles]
    assert starts == [starts[0] - 60_000 * back for back in range(4)]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("ticker?instId=NO-SUCH", 200, "51001"),
        ("ticker", 400, "50014"),
        ("candles?instId=BTC-USDT&bar=7m", 400, "51000"),
        ("trades?instId=BTC-USDT&limit=0", 400, "51000"),
        ("tickers", 400, "51000"),
        ("nothing", 404, "404"),
    ],
)
async def test_okx_errors_are_the_venues(path: str, status: int, code: str) -> None:
    async with replaying(venues=("okx",)) as replayer:
        answer = await get(replayer, "okx", f"/api/v5/market/{path}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_okx_tickers_are_of_the_kind_asked_for() -> None:
    async with replaying(venues=("okx",)) as replayer:
        answer = await get(replayer, "okx", "/api/v5/market/tickers?instType=SPOT")
    [ticker] = answer.json()["data"]
    assert ticker["instId"] == "BTC-USDT"
    assert ticker["last"] in {"30236", "30243.5"}  # whichever of the recorded two is the latest now
    assert abs(int(ticker["ts"]) / 1000 - time.time()) < 3


async def test_coinbase_answers_for_both_of_its_apis() -> None:
    prefix = "/api/v3/brokerage/market/products/BTC-USD"
    async with replaying() as replayer:
        ticker = (await get(replayer, "coinbase", "/products/SKL-USD/ticker")).json()
        trades = (await get(replayer, "coinbase", "/products/SKL-USD/trades?limit=2")).json()
        advanced = (await get(replayer, "coinbase-advanced", f"{prefix}/ticker?limit=4")).json()
        path = f"{prefix}/candles?granularity=ONE_HOUR&limit=2"
        candles = (await get(replayer, "coinbase-advanced", path)).json()["candles"]
        missing = await get(replayer, "coinbase-advanced", f"{prefix.replace('BTC', 'XXX')}/ticker")
        unknown = await get(replayer, "coinbase", "/products/NO-SUCH/ticker")
        wrong = await get(replayer, "coinbase-advanced", f"{prefix}/candles?granularity=WEEK")
    assert (ticker["price"], ticker["size"]) == ("0.7904", "1338.3")
    assert trades[0]["trade_id"] == trades[1]["trade_id"] + 1
    assert [int(trade["trade_id"]) for trade in advanced["trades"]] == [
        int(advanced["trades"][0]["trade_id"]) - back for back in range(4)
    ]
    assert (advanced["best_bid"], advanced["best_ask"]) == ("68923.66", "68923.67")
    assert int(candles[0]["start"]) - int(candles[1]["start"]) == 3600
    assert (missing.status_code, missing.json()["error"]) == (404, "NOT_FOUND")
    assert (unknown.status_code, unknown.json()) == (404, {"message": "NotFound"})
    assert wrong.status_code == 400


async def test_what_has_not_changed_is_304_and_what_has_is_not() -> None:
    clock = Clock()
    path = "/api/v3/trades?symbol=BNBBTC&limit=3"
    async with Replayer(clock=clock) as replayer:
        first = await get(replayer, "binance", path)
        tag, modified = first.headers["etag"], first.headers["last-modified"]
        conditions: list[dict[str, str]] = [
            {"If-None-Match": tag},
            {"If-None-Match": f'"x", W/{tag}'},
            {"If-Modified-Since": modified},
        ]
        for headers in conditions:
            again = await get(replayer, "binance", path, headers)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
        earlier = formatdate(parsedate_to_datetime(modified).timestamp() - 1, usegmt=True)
        unchanged: list[dict[str, str]] = [
            {"If-Modified-Since": earlier},
            {"If-Modified-Since": "nonsense"},
            {"If-None-Match": '"other"', "If-Modified-Since": modified},
        ]
        for headers in unchanged:
            assert (await get(replayer, "binance", path, headers)).status_code == 200
        clock.now += SECOND
        for headers in conditions:
            changed = await get(replayer, "binance", path, headers)
            assert changed.status_code == 200
            assert changed.json()[-1]["id"] == first.json()[-1]["id"] + 1


async def test_requests_are_logged_with_what_tests_want_to_check() -> None:
    async with replaying(venues=("binance",)) as replayer:
        async with httpx.AsyncClient() as client:
            url = replayer.url("binance", "/api/v3/ping?signature=ab%2Bc&timestamp=1")
            await client.request("GET", url, headers={"X-MBX-APIKEY": "k"}, content=b"body")
            refused = await client.post(replayer.url("binance", "/api/v3/ping"))
        first, second = replayer.requests
    assert refused.status_code == 405
    assert (first.method, first.path, first.status) == ("GET", "/binance/api/v3/ping", 200)
    assert first.query == {"signature": "ab+c", "timestamp": "1"}
    assert first.raw_query == "signature=ab%2Bc&timestamp=1"
    assert (first.headers["x-mbx-apikey"], first.body) == ("k", b"body")
    assert first.at_ns < second.at_ns
    assert (second.method, second.status) == ("POST", 405)


async def test_rest_is_also_found_by_the_venues_host_name() -> None:
    async with replaying() as replayer, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{replayer.port}/api/v3/time"
        answer: Any = await client.get(url, headers={"Host": "api.binance.com"})
        assert set(answer.json()) == {"serverTime"}
        assert (await client.get(url)).status_code == 404
