import json
from datetime import UTC, datetime

import pytest

from domain.connectors import Venue
from domain.messages import CannotNormalise, MessageType, QuarantineReason, Side
from infra.feeds.venues import normalise
from infra.feeds.venues.binance.market import instrument, market_of

SPOT = "wss://stream.binance.com:9443/stream"
OKX = "wss://ws.okx.com:8443/ws/v5/public"
EXCHANGE = "wss://ws-feed.exchange.coinbase.com"
ADVANCED = "wss://advanced-trade-ws.coinbase.com"
TIME = datetime(2022, 12, 31, 19, 43, 2, 136000, tzinfo=UTC)


def binance(frame, url: str = SPOT):
    return normalise(Venue.BINANCE, dumped(frame), url, None)


def okx(frame, url: str = OKX):
    return normalise(Venue.OKX, dumped(frame), url, None)


def coinbase(frame, url: str = EXCHANGE):
    return normalise(Venue.COINBASE, dumped(frame), url, None)


def dumped(frame) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("symbol", "url", "name"),
    [
        ("BTCUSDT", SPOT, "BTC-USDT"),
        ("BTCFDUSD", SPOT, "BTC-FDUSD"),
        ("ETHTUSD", SPOT, "ETH-TUSD"),
        ("BUSDUSDT", SPOT, "BUSD-USDT"),
        ("USDTTRY", SPOT, "USDT-TRY"),
        ("BNBBTC", SPOT, "BNB-BTC"),
        ("1000SATSUSDT", SPOT, "1000SATS-USDT"),
        ("币安人生USDT", SPOT, "币安人生-USDT"),
        ("USDT", SPOT, "USDT"),
        ("NOVELTY", SPOT, "NOVELTY"),
        ("BATUSD", "wss://stream.binance.us:9443/ws", "BAT-USD"),
        ("BNBUSD", "wss://stream.binance.us:9443/ws", "BNB-USD"),
        ("OMGBUSD", "wss://stream.binance.us:9443/ws", "OMG-BUSD"),
        ("BTCUSDT", "wss://fstream.binance.com/ws", "BTC-USDT-PERP"),
        ("BTCUSDT_240628", "wss://fstream.binance.com/ws", "BTCUSDT_240628"),
        ("BTCUSD_PERP", "wss://dstream.binance.com/ws", "BTCUSD_PERP"),
    ],
)
def test_binance_symbols_are_split_at_their_quote_and_futures_stay_apart(symbol, url, name):
    assert instrument(symbol, market_of(url)) == name


def test_binance_trades_of_different_kinds_are_numbered_apart():
    base = {
        "E": 1672515782136,
        "s": "BNBBTC",
        "p": "0.001",
        "q": "100",
        "T": 1672515782136,
        "m": True,
    }
    (single,) = binance({"e": "trade", "t": 12345, **base})
    (joint,) = binance({"e": "aggTrade", "a": 12345, "f": 1, "l": 2, **base})
    (block,) = binance({"e": "blockTrade", "t": 12345, **base})
    assert single.run == ("trade", 12345, 12345)
    assert joint.run == ("aggTrade", 12345, 12345)
    assert block.run is None
    assert len({single.key, joint.key, block.key}) == 3
    assert {single.sequence, joint.sequence, block.sequence} == {"12345"}


def test_binance_rest_and_stream_agree_on_a_trade():
    told = {
        "id": 7,
        "price": "0.10",
        "qty": "2",
        "quoteQty": "0.2",
        "time": 1672515782136,
        "isBuyerMaker": False,
    }
    rest = binance([told, {**told, "id": 8}], "https://api.binance.com/api/v3/trades?symbol=BNBBTC")
    (live,) = binance(
        {"e": "trade", "s": "BNBBTC", "t": 7, "p": "0.10", "q": "2", "T": 1672515782136, "m": False}
    )
    live.data = rest[0].data
    assert rest[0] == live
    assert json.loads(rest[1].data) == {**told, "id": 8}
    aggregate = {
        "a": 9,
        "p": "0.10",
        "q": "2",
        "f": 1,
        "l": 2,
        "T": 1672515782136,
        "m": True,
        "M": True,
    }
    (one,) = binance([aggregate], "https://api.binance.com/api/v3/aggTrades?symbol=BNBBTC")
    assert (one.instrument, one.run, one.side) == ("BNB-BTC", ("aggTrade", 9, 9), Side.SELL)


def test_binance_array_streams_give_a_message_an_element():
    mini = {"e": "24hrMiniTicker", "E": 1672515782136, "c": "0.0025", "o": "0.0010", "h": "0.0025", "l": "0.0010", "v": "10000", "q": "18"}  # fmt: skip
    array = [{**mini, "s": symbol} for symbol in ("BNBBTC", "ETHBTC", "LTCBTC")]
    for frame in (array, {"stream": "!miniTicker@arr", "data": array}):
        ticks = binance(frame)
        assert [tick.instrument for tick in ticks] == ["BNB-BTC", "ETH-BTC", "LTC-BTC"]
        assert [json.loads(tick.data) for tick in ticks] == array
        assert {tick.type for tick in ticks} == {MessageType.TICKER}
        assert {tick.event_time for tick in ticks} == {TIME}


def test_binance_microsecond_times_are_exact():
    frame = {
        "e": "trade",
        "s": "BNBBTC",
        "t": 7,
        "p": "1",
        "q": "2",
        "T": 1672515782136789,
        "m": True,
    }
    assert binance(frame)[0].event_time == TIME.replace(microsecond=136789)


def test_binance_partial_books_are_named_by_their_stream():
    top = {"lastUpdateId": 160, "bids": [["0.0024", "10"]], "asks": [["0.0026", "100"]]}
    for frame, url in (
        ({"stream": "bnbbtc@depth5@100ms", "data": top}, SPOT),
        (top, "wss://stream.binance.com:9443/ws/bnbbtc@depth5@100ms"),
        (top, "https://api.binance.com/api/v3/depth?symbol=BNBBTC&limit=5"),
    ):
        (tick,) = binance(frame, url)
        assert (tick.instrument, tick.type, tick.sequence) == ("BNB-BTC", MessageType.BOOK, "160")
        assert json.loads(tick.detail) == {
            "snapshot": True,
            "bids": [["0.0024", "10"]],
            "asks": [["0.0026", "100"]],
        }
    with pytest.raises(CannotNormalise) as caught:
        binance(top, "wss://stream.binance.com:9443/ws")
    assert caught.value.reason is QuarantineReason.UNEXPECTED
    assert "symbol" in caught.value.explanation


def test_binance_books_say_which_updates_they_cover():
    update = {
        "e": "depthUpdate",
        "E": 1672515782136,
        "s": "BNBBTC",
        "U": 157,
        "u": 160,
        "b": [],
        "a": [["1", "0"]],
    }
    assert binance(update)[0].run == ("depth", 157, 160)
    futures = {**update, "T": 1672515782130, "pu": 149}
    assert binance(futures, "wss://fstream.binance.com/ws")[0].run == ("depth", 150, 160)


def test_binance_futures_quotes_carry_their_time():
    frame = {"e": "bookTicker", "u": 4, "E": 1672515782137, "T": 1672515782136, "s": "BNBUSDT", "b": "25.1", "B": "3", "a": "25.2", "A": "4"}  # fmt: skip
    (tick,) = binance(frame, "wss://fstream.binance.com/ws")
    assert (tick.type, tick.instrument, tick.event_time) == (
        MessageType.QUOTE,
        "BNB-USDT-PERP",
        TIME,
    )
    assert str(tick.price) == "25.15"


def test_binance_rest_tickers_and_klines_come_as_lists_too():
    prices = binance([{"symbol": "LTCBTC", "price": "4.0"}, {"symbol": "BNBBTC", "price": "1.0"}])
    assert [(tick.instrument, str(tick.price)) for tick in prices] == [
        ("LTC-BTC", "4.0"),
        ("BNB-BTC", "1.0"),
    ]
    quotes = binance([{"symbol": s, "bidPrice": "1", "bidQty": "2", "askPrice": "3", "askQty": "4"} for s in ("LTCBTC", "BNBBTC")])  # fmt: skip
    assert [tick.type for tick in quotes] == [MessageType.QUOTE] * 2
    row = [
        1499040000000,
        "0.1",
        "0.8",
        "0.1",
        "0.2",
        "148",
        1499644799999,
        "2434",
        308,
        "1756",
        "28",
        "0",
    ]
    url = "https://api.binance.com/api/v3/klines?symbol=BNBBTC&interval=1w"
    candles = binance([row, [*row[:8], 309, *row[9:]]], url)
    assert {json.loads(tick.detail)["interval"] for tick in candles} == {"1w"}
    assert candles[0].key != candles[1].key, "a candle that traded on is another state"
    assert candles[0].key == binance([row], url)[0].key
    assert binance([], url) == []


def test_an_empty_or_zero_side_has_no_middle():
    frame = {"u": 1, "s": "BNBUSDT", "b": "0.00000000", "B": "0.00000000", "a": "25.2", "A": "4"}
    (tick,) = binance(frame)
    assert tick.price is None
    assert json.loads(tick.detail)["ask"] == "25.2"
    push = {"arg": {"channel": "bbo-tbt", "instId": "BTC-USDT"}, "data": [{"asks": [["8", "4", "0", "1"]], "bids": [], "ts": "1597026383085", "seqId": 1}]}  # fmt: skip
    (tick,) = okx(push)
    assert tick.price is None
    assert json.loads(tick.detail) == {"ask": "8", "ask_quantity": "4"}


def test_the_middle_of_long_prices_is_exact():
    bid, ask = "1" * 30 + "." + "1" * 30, "1" * 30 + "." + "1" * 29 + "2"
    (tick,) = binance({"u": 1, "s": "BNBUSDT", "b": bid, "B": "1", "a": ask, "A": "1"})
    assert format(tick.price, "f") == "1" * 30 + "." + "1" * 30 + "5"


def book(action, sequence, before, levels=(("8476.98", "415", "0", "13"),)):
    row = {"asks": [list(level) for level in levels], "bids": [], "ts": "1597026383085", "checksum": -1, "prevSeqId": before, "seqId": sequence}  # fmt: skip
    return {"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": action, "data": [row]}


def test_okx_books_follow_one_another_by_the_number_before():
    assert okx(book("snapshot", 100, -1))[0].run == ("books", 100, 100)
    assert okx(book("update", 110, 100))[0].run == ("books", 101, 110)
    assert okx(book("update", 110, 110, ()))[0].run is None, "a sign of life"
    assert okx(book("update", 3, 110))[0].run == ("books", 3, 3), "OKX began to count anew"
    assert okx(book("update", 110, 100))[0].sequence == "110"
    with pytest.raises(CannotNormalise):
        okx(book("delete", 110, 100))


def test_okx_elements_of_one_push_are_cut_out_of_it():
    rows = [
        {
            "instId": "BTC-USDT",
            "tradeId": str(id),
            "px": "1.50",
            "sz": "2",
            "side": "sell",
            "ts": "1597026383085",
        }
        for id in (1, 2)
    ]
    ticks = okx({"arg": {"channel": "trades-all", "instId": "BTC-USDT"}, "data": rows})
    assert [json.loads(tick.data) for tick in ticks] == rows
    assert [tick.side for tick in ticks] == [Side.SELL, Side.SELL]
    assert okx({"arg": {"channel": "trades-all", "instId": "BTC-USDT"}, "data": []}) == []


def test_okx_rest_tickers_may_lack_prices_nobody_traded_at():
    row = {"instType": "OPTION", "instId": "BTC-USD-261225-90000-C", "last": "", "lastSz": "0", "askPx": "0.05", "askSz": "1", "bidPx": "", "bidSz": "", "open24h": "", "high24h": "", "low24h": "", "volCcy24h": "0", "vol24h": "0", "ts": "1597026383085"}  # fmt: skip
    url = "https://www.okx.com/api/v5/market/tickers?instType=OPTION"
    ticks = okx(
        {
            "code": "0",
            "msg": "",
            "data": [row, {**row, "instId": "BTC-USD-261225-95000-C", "last": "0.01"}],
        },
        url,
    )
    assert [tick.price and str(tick.price) for tick in ticks] == [None, "0.01"]
    assert json.loads(ticks[0].detail) == {"ask": "0.05", "volume": "0"}
    assert okx({"code": "0", "msg": "", "data": []}, url) == []


def test_okx_candles_and_books_over_rest_take_their_instrument_from_the_url():
    url = "https://www.okx.com/api/v5/market/candles?instId=BTC-USDT-SWAP&bar=5m"
    row = ["1625097600000", "33528.6", "33870.0", "33528.6", "33783.9", "778.838", "0", "0", "1"]
    (tick,) = okx({"code": "0", "msg": "", "data": [row]}, url)
    assert tick.instrument == "BTC-USDT-SWAP"
    facts = json.loads(tick.detail)
    assert (facts["interval"], facts["closed"]) == ("5m", True)
    with pytest.raises(CannotNormalise) as caught:
        okx({"code": "0", "msg": "", "data": [row]}, "https://www.okx.com/api/v5/market/candles")
    assert "instId" in caught.value.explanation


def test_coinbase_matches_carry_the_takers_side_and_their_run():
    match = {"type": "match", "trade_id": 10, "maker_order_id": "a", "taker_order_id": "b", "side": "sell", "size": "5.23512", "price": "400.23", "product_id": "BTC-USD", "sequence": 50, "time": "2014-11-07T08:19:27.028459Z"}  # fmt: skip
    (tick,) = coinbase(match)
    assert (tick.side, tick.run, tick.sequence) == (Side.BUY, ("match", 10, 10), "10")
    (last,) = coinbase({**match, "type": "last_match"})
    assert last.key == tick.key
    rest = {
        "trade_id": 10,
        "side": "sell",
        "size": "5.23512",
        "price": "400.23",
        "time": "2014-11-07T08:19:27.028459Z",
    }
    (polled,) = coinbase([rest], "https://api.exchange.coinbase.com/products/BTC-USD/trades")
    assert (polled.key, polled.side, polled.run) == (tick.key, tick.side, tick.run)


def test_coinbase_changes_are_put_on_their_side_of_the_book():
    frame = {"type": "l2update", "product_id": "BTC-USD", "changes": [["buy", "10101.80", "0.162567"], ["sell", "10102", "0"], ["buy", "10101.7", "0.1"]], "time": "2019-08-14T20:42:27.265Z"}  # fmt: skip
    (tick,) = coinbase(frame)
    assert json.loads(tick.detail) == {
        "snapshot": False,
        "bids": [["10101.80", "0.162567"], ["10101.7", "0.1"]],
        "asks": [["10102", "0"]],
    }
    assert tick.key is None


def test_coinbase_rest_answers_take_their_product_from_the_url():
    url = "https://api.exchange.coinbase.com/products/BTC-USD"
    frame = b"[[1415398768, 0.32, 4.2, 0.35, 4.2, 12.3000000000000001],[1415398708, 0.32, 4.2, 0.35, 4.1, 1]]"
    first, _ = normalise(Venue.COINBASE, frame, f"{url}/candles?granularity=60", None)
    assert first.data == "[1415398768, 0.32, 4.2, 0.35, 4.2, 12.3000000000000001]"
    assert json.loads(first.detail) == {
        "open": "0.35",
        "high": "4.2",
        "low": "0.32",
        "close": "4.2",
        "volume": "12.3000000000000001",
        "start": "2014-11-07T22:19:28+00:00",
        "interval": "60",
    }
    (book,) = coinbase(
        {"bids": [["1.5", "2", 3]], "asks": [["1.6", "2", "da863862"]], "sequence": 5},
        f"{url}/book?level=2",
    )
    assert json.loads(book.detail) == {
        "snapshot": True,
        "bids": [["1.5", "2"]],
        "asks": [["1.6", "2"]],
    }
    (ticker,) = coinbase({"ask": "6267.71", "bid": "6265.15", "volume": "53602.03", "trade_id": 86326522, "price": "6268.48", "size": "0.00698254", "time": "2020-03-20T00:22:57.833897Z"}, f"{url}/ticker")  # fmt: skip
    assert (ticker.instrument, str(ticker.price), str(ticker.quantity)) == (
        "BTC-USD",
        "6268.48",
        "0.00698254",
    )
    (stats,) = coinbase(
        {
            "open": "1",
            "high": "2",
            "low": "0.5",
            "last": "1.5",
            "volume": "9",
            "volume_30day": "90",
        },
        f"{url}/stats",
    )
    assert (stats.type, str(stats.price)) == (MessageType.TICKER, "1.5")
    with pytest.raises(CannotNormalise) as caught:
        coinbase([[1415398768, 0.32, 4.2, 0.35, 4.2, 12.3]], "https://api.exchange.coinbase.com/")
    assert "product" in caught.value.explanation


def test_coinbase_advanced_frames_are_told_apart_by_time_and_number():
    frame = {"channel": "l2_data", "client_id": "", "timestamp": "2026-04-07T14:30:01.456789123Z", "sequence_num": 1, "events": [{"type": "snapshot", "product_id": p, "updates": [{"side": "bid", "event_time": "1970-01-01T00:00:00Z", "price_level": "1.50", "new_quantity": "2"}]} for p in ("BTC-USD", "ETH-USD")]}  # fmt: skip
    one, two = coinbase(frame, ADVANCED)
    assert [json.loads(tick.data) for tick in (one, two)] == frame["events"]
    assert json.loads(one.detail) == {"snapshot": True, "bids": [["1.50", "2"]], "asks": []}
    assert one.event_time == datetime(2026, 4, 7, 14, 30, 1, 456789, tzinfo=UTC)
    after = coinbase({**frame, "timestamp": "2026-04-07T15:00:00Z"}, ADVANCED)
    assert len({tick.key for tick in (one, two, *after)}) == 4, (
        "the next connection counts from 0 again"
    )
    assert [tick.key for tick in coinbase(frame, ADVANCED)] == [one.key, two.key]
    frame["events"][0]["type"] = "novelty"
    with pytest.raises(CannotNormalise):
        coinbase(frame, ADVANCED)


def test_coinbase_advanced_books_over_rest():
    book = {"product_id": "BTC-USD", "bids": [{"price": "10", "size": "1"}], "asks": [{"price": "11", "size": "2"}], "time": "2026-04-07T14:30:01Z"}  # fmt: skip
    (tick,) = coinbase({"pricebook": book, "last": "10.5"}, ADVANCED)
    assert (tick.type, json.loads(tick.detail)["bids"]) == (MessageType.BOOK, [["10", "1"]])
    quotes = coinbase(
        {"pricebooks": [book, {**book, "product_id": "ETH-USD", "bids": []}]}, ADVANCED
    )
    assert [(tick.type, tick.price and str(tick.price)) for tick in quotes] == [
        (MessageType.QUOTE, "10.5"),
        (MessageType.QUOTE, None),
    ]
