import json
from copy import deepcopy
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.connectors import Venue
from domain.messages import CannotNormalise, QuarantineReason, Tick
from infra.feeds.venues import normalise
from tests.infra.feeds.recorded import HOSTS, RECORDED

SOURCES = {
    **{venue: f"{host}/ws" for venue, host in HOSTS.items()},
    Venue.CUSTOM: "wss://feed.example.com",
}
MAPPING = {
    "items": "data[]",
    "instrument": "s",
    "price": "p",
    "quantity": "q",
    "side": "side",
    "sequence": "id",
    "eventTime": "t",
}

TRADES = {
    Venue.BINANCE: '{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":PRICE,"q":"100","T":TIME,"m":true}',
    Venue.OKX: '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"7",'
    '"px":PRICE,"sz":"1","side":"buy","ts":"TIME"}]}',
    Venue.COINBASE: '{"type":"match","trade_id":7,"side":"sell","size":"1","price":PRICE,"product_id":"BTC-USD",'
    '"time":"2021-04-17T16:43:30.244075Z"}',
    Venue.CUSTOM: '{"data":[{"s":"BTC-USD","p":PRICE,"t":TIME}]}',
}
VENUES = list(Venue)


def read(venue: Venue, frame: bytes) -> list[Tick]:
    return normalise(venue, frame, SOURCES[venue], MAPPING if venue is Venue.CUSTOM else None)


def trade(venue: Venue, price: str, time: str = "1672515782136") -> bytes:
    return TRADES[venue].replace("PRICE", price).replace("TIME", time).encode()


def refusal(venue: Venue, frame: bytes) -> CannotNormalise:
    with pytest.raises(CannotNormalise) as caught:
        read(venue, frame)
    assert caught.value.explanation.isprintable()
    assert 0 < len(caught.value.explanation) <= 300
    return caught.value


def holds(venue: Venue, frame: bytes) -> None:
    """A frame gives storable ticks or is refused; anything else rises and fails the test."""
    try:
        ticks = read(venue, frame)
    except CannotNormalise as refused:
        explanation, ticks = refused.explanation, []
        text = ""
    else:
        explanation, text = "read", frame.decode()
    assert explanation.isprintable()
    assert 0 < len(explanation) <= 300
    for tick in ticks:
        assert tick.data in text
        json.loads(tick.data)
        assert tick.instrument.isprintable()
        assert tick.price is None or tick.price.is_finite()
        assert tick.sequence is None or tick.sequence.isprintable()
        if tick.detail is not None:
            json.loads(tick.detail)
        if tick.key is not None:
            assert "\0" not in tick.key
            assert len(tick.key) < 1000
        if tick.run is not None:
            _, first, last = tick.run
            assert 0 <= first <= last < 2**63


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    "digits",
    [
        "0.1234567891234567",
        "4.00000100",
        "1" * 25,
        "0",
        "0.00000000",
        "9" * 24 + ".1",
        "0.1000000000000000055511151231",
    ],
)
def test_a_price_keeps_its_digits_in_quotes_and_bare(venue, digits):
    for written in (digits, f'"{digits}"'):
        assert format(read(venue, trade(venue, written))[0].price, "f") == digits


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    "written",
    [
        '"NaN"', '"nan"', '"Infinity"', '"-Infinity"', '"inf"', '""', '" 1"', '"1_0"', '"1,5"', '"0x10"', '"\\u0661"',
        "true", "[]", "{}", "[1]", "1e400", '"1e31"', '"1e-31"', '"1e999999999"', f'"{"9" * 31}"', "9" * 31,
        f'"0.{"1" * 31}"', f"0.{'1' * 31}", "9" * 5000, f'"{"9" * 5000}"', '"--1"', '"1-"', '"\\u0000"',
    ],
)  # fmt: skip
def test_a_value_that_is_no_exact_decimal_is_refused_by_name(venue, written):
    refused = refusal(venue, trade(venue, written))
    assert refused.reason in (QuarantineReason.INVALID_VALUE, QuarantineReason.MALFORMED)
    if refused.reason is QuarantineReason.MALFORMED:
        assert written == "9" * 5000, "only what no JSON reader can hold"
    else:
        assert any(name in refused.explanation for name in ("p", "price", "px"))


@pytest.mark.parametrize("venue", VENUES)
def test_json_has_no_nan(venue):
    for written in ("NaN", "Infinity", "-Infinity"):
        assert refusal(venue, trade(venue, written)).reason is QuarantineReason.MALFORMED


def test_exchanges_have_no_negative_prices_but_custom_sources_may():
    for venue in (Venue.BINANCE, Venue.OKX, Venue.COINBASE):
        for written in ('"-1.5"', "-1", "-0.5"):
            refused = refusal(venue, trade(venue, written))
            assert refused.reason is QuarantineReason.INVALID_VALUE
            assert "negative" in refused.explanation
    for written in ('"-37.63"', "-37.63"):
        assert read(Venue.CUSTOM, trade(Venue.CUSTOM, written))[0].price == Decimal("-37.63")


def test_exponents_are_written_out():
    for venue in VENUES:
        for written, digits in (("1e-7", "0.0000001"), ('"1.5E+3"', "1500"), ("2e2", "200")):
            tick = read(venue, trade(venue, written))[0]
            assert str(tick.price) in (digits, "1E-7")
            assert format(tick.price, "f") == digits


@pytest.mark.parametrize(
    "time", ["0", "1", "-1", "864000", "4102444800000", "978307199999", "9" * 25]
)
@pytest.mark.parametrize("venue", [Venue.BINANCE, Venue.OKX, Venue.CUSTOM])
def test_an_absurd_time_is_refused(venue, time):
    assert refusal(venue, trade(venue, '"1"', time)).reason is QuarantineReason.INVALID_VALUE


def test_an_absurd_iso_time_is_refused():
    for time in (
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2021-04-17T16:43:30",
        "yesterday",
        "",
    ):
        frame = trade(Venue.COINBASE, '"1"').replace(b"2021-04-17T16:43:30.244075Z", time.encode())
        assert refusal(Venue.COINBASE, frame).reason is QuarantineReason.INVALID_VALUE


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    "frame",
    [
        b"", b" ", b"{", b"[", b'"', b"nul", b"hello", b"{]", b"[1,]", b'{"a":1,}', b"\x00", b"\x80\x81\x82",
        b"\x1f\x8b\x08\x00\x00", b'{"a":"\xff"}', b'{"a":"\n"}', b'{"a":01}', b'{"a":1}{"a":1}', b"\xef\xbb\xbf{}",
        b'{"a":"\xed\xa0\x80"}', "{}".encode("utf-16"), b"[" * 100_000, b'{"a":' * 100_000,
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", b"[" + b"[" * 200_000 + b"]" * 200_001,
    ],
)  # fmt: skip
def test_what_is_no_json_is_malformed(venue, frame):
    assert refusal(venue, frame).reason is QuarantineReason.MALFORMED


@pytest.mark.parametrize("venue", [Venue.BINANCE, Venue.OKX, Venue.COINBASE])
@pytest.mark.parametrize(
    "frame",
    [
        b"{}", b"null", b"1", b'"pong?"', b"true", b"[1]", b"[null]", b"[{}]", b"[[]]", b'{"a":1}', b'{"e":1}',
        b'{"e":"liquidation","s":"BTCUSDT"}', b'{"type":"full","product_id":"BTC-USD"}', b'{"type":null}',
        b'{"channel":"status","timestamp":"2026-04-07T14:30:02Z","sequence_num":1,"events":[]}', b'{"event":"nova"}',
        b'{"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{}]}', b'{"arg":1,"data":[]}',
        b'{"stream":"x","data":{}}', b'{"stream":1,"data":[]}', b'{"stream":"x","data":null}',
        b'{"e":"trade","s":"BTCUSDT"}', b'{"e":"trade\\u0000","s":"BTCUSDT"}', b'{"code":"0","data":[{}]}',
    ],
)  # fmt: skip
def test_json_of_an_unknown_shape_is_unexpected(venue, frame):
    assert refusal(venue, frame).reason is QuarantineReason.UNEXPECTED


@pytest.mark.parametrize(
    ("venue", "frame", "words"),
    [
        (
            Venue.BINANCE,
            b'{"error":{"code":2,"msg":"Invalid request: bad stream"},"id":3}',
            "bad stream",
        ),
        (Venue.BINANCE, b'{"code":-1121,"msg":"Invalid symbol."}', "Invalid symbol."),
        (Venue.OKX, b'{"event":"error","code":"60012","msg":"Invalid request"}', "Invalid request"),
        (Venue.OKX, b'{"event":"channel-conn-count-error","code":"60030"}', "60030"),
        (Venue.OKX, b'{"event":"login","code":"60009","msg":"Login failed."}', "Login failed."),
        (
            Venue.OKX,
            b'{"code":"51001","data":[],"msg":"Instrument ID does not exist"}',
            "does not exist",
        ),
        (
            Venue.COINBASE,
            b'{"type":"error","message":"Failed to subscribe","reason":"no such product"}',
            "no such",
        ),
        (
            Venue.COINBASE,
            b'{"type":"error","message":"authentication failure"}',
            "authentication failure",
        ),
        (Venue.COINBASE, b'{"message":"NotFound"}', "NotFound"),
    ],
)
def test_what_a_venue_complains_of_is_kept_with_its_words(venue, frame, words):
    refused = refusal(venue, frame)
    assert refused.reason is QuarantineReason.UNEXPECTED
    assert words in refused.explanation


@pytest.mark.parametrize(
    ("venue", "frame"),
    [
        (Venue.BINANCE, b'{"result":null,"id":1}'),
        (Venue.BINANCE, b'{"result":["btcusdt@trade"],"id":"a"}'),
        (Venue.BINANCE, b'{"id": 1, "result": null}'),
        (Venue.OKX, b"pong"),
        (
            Venue.OKX,
            b'{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"},"connId":"a4d3ae55"}',
        ),
        (Venue.OKX, b'{"event":"unsubscribe","arg":{"channel":"trades","instId":"BTC-USDT"}}'),
        (Venue.OKX, b'{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}'),
        (
            Venue.OKX,
            b'{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"a"}',
        ),
        (
            Venue.OKX,
            b'{"event":"notice","code":"64008","msg":"closing for a service upgrade","connId":"a"}',
        ),
        (Venue.COINBASE, b'{"type":"subscriptions","channels":[]}'),
        (
            Venue.COINBASE,
            b'{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"x"}',
        ),
        (
            Venue.COINBASE,
            b'{"channel":"heartbeats","timestamp":"2026-04-07T14:30:10Z","sequence_num":0,"events":[{}]}',
        ),
    ],
)
def test_what_only_steers_the_connection_gives_no_message(venue, frame):
    assert read(venue, frame) == []


def test_one_bad_element_refuses_the_whole_frame():
    good = '{"id":1,"price":"1","qty":"1","time":1672515782136,"isBuyerMaker":true}'
    bad = good.replace('"price":"1"', '"price":"NaN"')
    url = "https://api.binance.com/api/v3/trades?symbol=BTCUSDT"
    assert len(normalise(Venue.BINANCE, f"[{good},{good}]".encode(), url, None)) == 2
    with pytest.raises(CannotNormalise) as caught:
        normalise(Venue.BINANCE, f"[{good},{bad}]".encode(), url, None)
    assert caught.value.reason is QuarantineReason.INVALID_VALUE


def test_a_name_that_cannot_be_stored_is_refused():
    for symbol in ('""', '"A\\u0000B"', '"BTC\\nUSDT"', f'"{"X" * 101}"', '" BTCUSDT"'):
        frame = trade(Venue.BINANCE, '"1"').replace(b'"BNBBTC"', symbol.encode())
        assert refusal(Venue.BINANCE, frame).reason is QuarantineReason.INVALID_VALUE


@pytest.mark.parametrize(
    "level",
    [
        '["1\\",\\"2\\"],[\\"3","4","0"]',
        '["1","2\\"],[\\"3\\",\\"4"]',
        '["1"]',
        '[["1","2"]]',
        "{}",
        '["1",null]',
        '["-1","2"]',
    ],
)
def test_a_level_that_is_none_is_refused(level):
    frame = '{"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":1,"u":2,"b":[LEVEL],"a":[]}'
    assert read(Venue.BINANCE, frame.replace("LEVEL", '["1","2","0"]').encode())
    json.loads(level)
    refusal(Venue.BINANCE, frame.replace("LEVEL", level).encode())


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYS = sorted(
    {
        key
        for case in RECORDED
        for key in json.loads(case.frame)
        if isinstance(json.loads(case.frame), dict)
    }
)
ODD = st.sampled_from(
    [None, True, 0, -1, 1.5, 10**30, 2**63, "", "NaN", "1", "-1", "x", "\0", "1" * 200, [], {}, [[]], [{}], [[1]],
     {"": None}, [["1"]], [["1", "2", "3"]], [[None, None]], "2021-04-17T16:43:30Z", "0001-01-01T00:00:00+23:00"]
)  # fmt: skip


@settings(deadline=None)
@given(frame=st.binary(max_size=60))
@example(b"pong")
def test_any_bytes_are_refused_or_read(frame):
    for venue in VENUES:
        holds(venue, frame)


@settings(deadline=None)
@given(tree=ANY_JSON | st.dictionaries(st.sampled_from(KEYS), ANY_JSON, max_size=8))
def test_any_json_is_refused_or_read(tree):
    for venue in VENUES:
        holds(venue, json.dumps(tree).encode())
        holds(venue, json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@given(
    whole=st.text("0123456789", min_size=1, max_size=24), part=st.text("0123456789", max_size=30)
)
def test_any_decimal_text_comes_back_digit_by_digit(whole, part):
    digits = f"{whole}.{part}" if part else whole
    bare = f"{whole.lstrip('0') or '0'}.{part}" if part else whole.lstrip("0") or "0"
    for venue in VENUES:
        assert format(read(venue, trade(venue, f'"{digits}"'))[0].price, "f") == format(
            Decimal(digits), "f"
        )
        assert format(read(venue, trade(venue, bare))[0].price, "f") == bare


def places(tree, above=()):
    if isinstance(tree, dict | list):
        for step, inner in tree.items() if isinstance(tree, dict) else enumerate(tree[:3]):
            yield (*above, step)
            yield from places(inner, (*above, step))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_recorded_frame_with_a_field_lost_or_changed_is_refused_or_read(data):
    case = data.draw(st.sampled_from(RECORDED))
    tree = json.loads(case.frame)
    for _ in range(data.draw(st.integers(1, 3))):
        found = list(places(tree))
        if not found:
            break
        *above, last = data.draw(st.sampled_from(found))
        inner = tree
        for step in above:
            inner = inner[step]
        if data.draw(st.booleans()):
            del inner[last]
        else:
            inner[last] = deepcopy(data.draw(ODD | ANY_JSON))
    frame = json.dumps(tree, separators=(",", ":")).encode()
    for venue in VENUES:
        holds(venue, frame)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_recorded_frame_with_bytes_cut_or_flipped_is_refused_or_read(data):
    case = data.draw(st.sampled_from([case for case in RECORDED if len(case.frame) < 2000]))
    at = data.draw(st.integers(0, len(case.frame)))
    instead = data.draw(st.binary(max_size=2))
    upto = at + data.draw(st.integers(0, 3))
    holds(case.venue, case.frame[:at] + instead + case.frame[upto:])
