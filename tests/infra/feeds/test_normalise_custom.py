import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.connectors import Venue
from domain.messages import CannotNormalise, MessageType, QuarantineReason, Side
from infra.feeds.venues import normalise
from infra.feeds.venues.custom import FIELDS, check_mapping

URL = "wss://feed.example.com:8443/v2/prices?token=none"


def read(frame: str | dict | list, mapping: dict | None = None, url: str = URL):
    text = frame if isinstance(frame, str) else json.dumps(frame)
    return normalise(Venue.CUSTOM, text.encode(), url, mapping)


def refusal(frame, mapping) -> CannotNormalise:
    with pytest.raises(CannotNormalise) as caught:
        read(frame, mapping)
    return caught.value


def test_every_field_is_read_where_the_mapping_says():
    frame = (
        '{"k":"deal","sym":{"name":"BTC-USD"},"px":0.1234567891234567,"amount":{"base":"0.50"},'
        '"taker":"Sell","n":7,"at":"2026-11-21T08:00:00.123456+02:00"}'
    )
    mapping = {
        "instrument": "sym.name",
        "type": {"value": "TRADE"},
        "price": "px",
        "quantity": "amount.base",
        "side": "taker",
        "sequence": "n",
        "eventTime": "at",
    }
    (tick,) = read(frame, mapping)
    assert tick.exchange == "custom"
    assert tick.instrument == "BTC-USD"
    assert tick.type is MessageType.TRADE
    assert str(tick.price) == "0.1234567891234567"
    assert str(tick.quantity) == "0.50"
    assert tick.side is Side.SELL
    assert tick.sequence == "7"
    assert tick.event_time == datetime(2026, 11, 21, 6, 0, 0, 123456, tzinfo=UTC)
    assert tick.event_time.tzinfo is UTC
    assert tick.data == frame
    assert tick.key == "trade:BTC-USD:7"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1618677817", datetime(2021, 4, 17, 16, 43, 37, tzinfo=UTC)),
        ("1618677817.067586", datetime(2021, 4, 17, 16, 43, 37, 67586, tzinfo=UTC)),
        ("1618677817067", datetime(2021, 4, 17, 16, 43, 37, 67000, tzinfo=UTC)),
        ("1618677817067.586", datetime(2021, 4, 17, 16, 43, 37, 67586, tzinfo=UTC)),
        ("1618677817067586", datetime(2021, 4, 17, 16, 43, 37, 67586, tzinfo=UTC)),
        ("1618677817067586999", datetime(2021, 4, 17, 16, 43, 37, 67586, tzinfo=UTC)),
        ('"1618677817067586999"', datetime(2021, 4, 17, 16, 43, 37, 67586, tzinfo=UTC)),
        ('"2021-04-17T16:43:37.067586999Z"', datetime(2021, 4, 17, 16, 43, 37, 67586, tzinfo=UTC)),
        ('"2021-04-17 16:43:37"', datetime(2021, 4, 17, 16, 43, 37, tzinfo=UTC)),
        ("null", None),
    ],
)
def test_a_time_is_exact_to_the_microsecond_in_any_unit(written, expected):
    mapping = {"instrument": {"value": "X"}, "eventTime": "t"}
    assert read(f'{{"t":{written}}}', mapping)[0].event_time == expected


@pytest.mark.parametrize(
    ("items", "frame"),
    [
        ("data", '{"data":[{"p":1.10},{ "p" : "2.0" }]}'),
        ("data[]", '{"data":[{"p":1.10},{ "p" : "2.0" }]}'),
        ("a.b[*].c", '{"a":{"b":[{"c":{"p":1.10}},{"c":{ "p" : "2.0" }}]}}'),
        ("@", '[{"p":1.10},{ "p" : "2.0" }]'),
        ("*", '{"X":{"p":1.10},"Y":{ "p" : "2.0" }}'),
        ("data[?kind=='t'].row", '{"data":[{"kind":"t","row":{"p":1.10}},{"kind":"u"},{"kind":"t","row":{ "p" : "2.0" }}]}'),
        ("data[?p>`0.5`]", '{"data":[{"p":1.10},{"p":0.1},{ "p" : 2.0 }]}'),
    ],
)  # fmt: skip
def test_items_become_messages_with_their_own_text(items, frame):
    ticks = read(frame, {"items": items, "instrument": {"value": "X"}, "price": "p"})
    assert [str(tick.price) for tick in ticks] == ["1.10", "2.0"]
    assert [json.loads(tick.data)["p"] for tick in ticks] in ([1.1, "2.0"], [1.1, 2.0])
    assert all(tick.data in frame and tick.data != frame for tick in ticks)
    assert ticks[1].data.startswith('{ "p" : ')


def test_rows_without_names_are_read_by_column():
    frame = '{"rows":[["BTC-USD","64000.10",1.5],["ETH-USD","3100.00",2]]}'
    mapping = {"items": "rows", "instrument": "[0]", "price": "[1]", "quantity": "[2]"}
    one, two = read(frame, mapping)
    assert (one.instrument, str(one.price), str(one.quantity)) == ("BTC-USD", "64000.10", "1.5")
    assert two.data == '["ETH-USD","3100.00",2]'


def test_a_single_item_keeps_the_whole_frame():
    frame = '{"seen":1,"data":[{"p":1}]}'
    (tick,) = read(frame, {"items": "data", "instrument": {"value": "X"}, "price": "p"})
    assert tick.data == frame


def test_an_empty_list_of_items_is_no_message_and_a_missing_one_is_refused():
    mapping = {"items": "data", "instrument": {"value": "X"}}
    assert read('{"data":[]}', mapping) == []
    for frame in (
        '{"ok":true}',
        '{"data":null}',
        '{"data":"x"}',
        '{"data":[1]}',
        '{"data":[null]}',
    ):
        assert refusal(frame, mapping).reason is QuarantineReason.UNEXPECTED


def test_names_can_be_joined_and_numbers_parsed_exactly():
    mapping = {"instrument": "join('-', [base, quote])", "price": "to_number(px)"}
    (tick,) = read('{"base":"BTC","quote":"EUR","px":"0.1234567891234567"}', mapping)
    assert tick.instrument == "BTC-EUR"
    assert str(tick.price) == "0.1234567891234567"


def test_what_is_mapped_as_instrument_type_or_price_must_be_there():
    for field in ("instrument", "type", "price"):
        mapping = {"instrument": {"value": "X"}, field: "gone"}
        refused = refusal('{"here":1}', mapping)
        assert refused.reason is QuarantineReason.UNEXPECTED
        assert refused.explanation == f"{field}: nothing at 'gone'"
    mapping = {
        "instrument": {"value": "X"},
        "quantity": "gone",
        "side": "gone",
        "sequence": "gone",
        "eventTime": "gone",
    }
    (tick,) = read('{"here":1}', mapping)
    assert (tick.quantity, tick.side, tick.sequence, tick.event_time, tick.key) == (None,) * 5
    assert tick.type is MessageType.OTHER


def test_values_of_the_wrong_kind_are_refused_by_name():
    for field, frame in (
        ("instrument", '{"x":[]}'),
        ("instrument", '{"x":true}'),
        ("instrument", '{"x":1.5}'),
        ("type", '{"x":"trades"}'),
        ("price", '{"x":"free"}'),
        ("quantity", '{"x":{}}'),
        ("side", '{"x":"long"}'),
        ("sequence", '{"x":[1]}'),
        ("eventTime", '{"x":"noon"}'),
        ("eventTime", '{"x":12}'),
        ("eventTime", '{"x":true}'),
    ):
        refused = refusal(frame, {"instrument": {"value": "X"}, field: "x"})
        assert refused.reason is QuarantineReason.INVALID_VALUE, frame
        assert refused.explanation.startswith(f"{field}: ")


def test_a_path_that_cannot_be_applied_refuses_the_frame():
    mapping = {"instrument": {"value": "X"}, "price": "abs(px)"}
    assert str(read('{"px":-1.5}', mapping)[0].price) == "1.5"
    assert refusal('{"px":"x"}', mapping).reason is QuarantineReason.UNEXPECTED


def test_numbers_nobody_asked_for_may_have_any_length():
    frame = f'{{"id":{"9" * 60},"big":1e99999999999999999999,"p":1.5}}'
    assert str(read(frame, {"instrument": {"value": "X"}, "price": "p"})[0].price) == "1.5"
    assert read(frame)[0].data == frame


def test_without_a_mapping_a_frame_is_one_message_named_after_its_host():
    for frame in ('{"any":[1,2]}', "[1,2]", "3.50", '"text"', "null", '{"a":"\\u0000"}'):
        (tick,) = read(frame)
        assert (tick.exchange, tick.instrument) == ("custom", "feed.example.com")
        assert tick.type is MessageType.OTHER
        assert tick.data == frame
        assert (tick.price, tick.event_time, tick.key, tick.run) == (None, None, None, None)
    assert read("1", url="wss://[")[0].instrument == "custom"


def test_a_good_mapping_has_no_problems():
    assert check_mapping({"instrument": "s"}) == {}
    assert (
        check_mapping(
            {
                "items": "data[?type=='trade']",
                "instrument": {"value": "BTC-USD"},
                "type": {"value": "quote"},
                "price": "p || last",
                "quantity": {"value": "1.5"},
                "side": {"value": "BUY"},
                "sequence": "to_string(n)",
                "eventTime": 'meta."event time"',
            }
        )
        == {}
    )


@pytest.mark.parametrize(
    ("field", "told", "words"),
    [
        ("items", "data[", "no JMESPath"),
        ("items", {"value": []}, "must be a path"),
        ("price", "", "1 to 200 characters"),
        ("price", "a" * 201, "1 to 200 characters"),
        ("price", "nova(p)", "unknown functions: nova"),
        ("price", "[[a,b],[c,d]][][]", "builds more than 2"),
        ("price", 5, "must be a path or"),
        ("price", None, "must be a path or"),
        ("price", {"path": "p"}, "must be a path or"),
        ("price", {"value": "NaN"}, "not a decimal number"),
        ("type", {"value": "trades"}, "is none of"),
        ("side", {"value": "up"}, "neither buy nor sell"),
        ("instrument", {"value": ""}, "printable"),
        ("eventTime", {"value": "soon"}, "ISO 8601"),
        ("pirce", "p", "is no field"),
    ],
)
def test_a_bad_mapping_is_explained_by_field(field, told, words):
    problems = check_mapping({"instrument": "s", field: told})
    assert list(problems) == [field]
    assert words in problems[field]


def test_a_mapping_needs_an_instrument():
    assert list(check_mapping({"price": "p"})) == ["instrument"]


def test_a_mapping_that_went_bad_in_the_database_refuses_frames_and_nothing_else():
    refused = refusal('{"p":1}', {"instrument": "s["})
    assert refused.reason is QuarantineReason.UNEXPECTED
    assert "mapping" in refused.explanation


def test_a_price_of_decimal_type_stays_what_it_was():
    (tick,) = read('{"p":1.500}', {"instrument": {"value": "X"}, "price": "p"})
    assert tick.price == Decimal("1.5")
    assert str(tick.price) == "1.500"


STEPS = st.sampled_from(
    ["data", "a", ".", "[]", "[0]", "[*]", "*", "|", "||", "[?", "]", "(", ")", "@", "&", "==", "<", "'x'", "`1`", "`[1]`",
     "{", "}", ":", ",", "[-1:]", "!", '"', "join('-', ", "to_number(", "map(&", "sum(", "avg(", "keys(", "sort_by(", "max(",
     "to_string(", "length(", "reverse(", "merge(", "zip(", "not_null("]
)  # fmt: skip
PATHS = st.lists(STEPS, max_size=8).map("".join) | st.text("ab.[]*?@|&(){}'\"0-:", max_size=12)
TOLD = (
    PATHS
    | st.none()
    | st.integers()
    | st.fixed_dictionaries({"value": st.none() | st.text() | st.integers()})
)


@settings(deadline=None, max_examples=300)
@given(
    mapping=st.dictionaries(st.sampled_from(["items", *FIELDS]), TOLD, max_size=4),
    frame=st.sampled_from(
        [
            '{"data":[{"a":1.5},{"a":"x"}],"a":{"a":[1,2.5,null]}}',
            "[[1,2],[3]]",
            "1.5",
            '{"a":null,"data":{"a":{}}}',
        ]
    ),
)
def test_any_mapping_is_explained_or_can_be_used(mapping, frame):
    problems = check_mapping(mapping)
    assert problems.keys() <= {"instrument", *mapping}
    assert all(problems.values())
    if not problems:
        try:
            ticks = read(frame, mapping)
        except CannotNormalise:
            return
        assert all(tick.data in frame for tick in ticks)
