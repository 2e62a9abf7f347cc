import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import orjson
import pytest
from graphql import GraphQLError, parse_value
from hypothesis import given
from hypothesis import strategies as st

from schema.scalars import (
    read_cursor,
    read_date,
    read_date_time,
    read_decimal,
    read_decimal_literal,
    read_duration,
    read_long,
    read_uuid,
    write_date_time,
    write_decimal,
    write_duration,
    write_json,
)

decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**90), max_value=10**90)


@given(decimals)
def test_a_decimal_goes_out_and_comes_back_digit_by_digit(value):
    text = write_decimal(value)
    assert "e" not in text.lower()
    assert read_decimal(text) == value
    assert write_decimal(read_decimal(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("0.1234567891234567"), "0.1234567891234567"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0E-8"), "0.00000000"),
        (Decimal("1.10"), "1.10"),
        (Decimal("5E-20"), "0.00000000000000000005"),
    ],
)
def test_a_decimal_has_no_exponent_and_keeps_its_zeros(value, text):
    assert write_decimal(value) == text


@pytest.mark.parametrize(
    "value",
    [
        "NaN", "Infinity", "-inf", "", " 1", "1 ", "1_000", "1,5", "0x1", "1e999", "٣", "--1", ".",
        None, True, [], {}, float("nan"), float("inf"), 1e300, 0.12345678912345678, "9" * 1000,
    ],
)  # fmt: skip
def test_what_is_no_exact_decimal_is_refused(value):
    with pytest.raises(GraphQLError, match="Decimal"):
        read_decimal(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"), (-7, "-7"), (0.1, "0.1"), (1e-7, "1E-7"), ("1e3", "1E+3"), (".5", "0.5"), ("5.", "5"),
        (64000.1, "64000.1"), ("0.1234567891234567", "0.1234567891234567"),
    ],
)  # fmt: skip
def test_numbers_are_read_as_they_were_written(value, expected):
    assert read_decimal(value) == Decimal(expected)


def test_a_literal_is_read_from_its_own_digits():
    assert read_decimal_literal(parse_value("0.12345678912345678912")) == Decimal(
        "0.12345678912345678912"
    )
    with pytest.raises(GraphQLError):
        read_decimal_literal(parse_value("true"))


@given(
    st.datetimes(
        timezones=st.timezones(),
        min_value=datetime(2, 1, 1),  # noqa: DTZ001
        max_value=datetime(9998, 1, 1),  # noqa: DTZ001
    )
)
def test_a_time_goes_out_in_utc_with_six_digits_and_comes_back(value):
    text = write_date_time(value)
    assert len(text) == len("2026-01-31T12:00:00.000000Z")
    assert text.endswith("Z")
    assert read_date_time(text) == value.astimezone(UTC)
    assert read_date_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31t12:00:00.5z", "2026-01-31T12:00:00.500000Z"),
        ("2026-01-31T12:00:00.123456789+02:00", "2026-01-31T10:00:00.123456Z"),
        ("2026-01-31T23:30:00-05:30", "2026-02-01T05:00:00.000000Z"),
    ],
)
def test_rfc_3339_is_read(text, expected):
    assert write_date_time(read_date_time(text)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T12:00:00", "2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31 12:00:00Z",
        "2026-01-31T24:00:01Z", "0001-01-01T00:00:00+01:00", "yesterday", "", 1769860800, None,
        "2026-01-31T12:00:00+25:00", "2026-01-31T12:00:00Z\n",
    ],
)  # fmt: skip
def test_a_time_without_its_zone_or_that_is_none_is_refused(value):
    with pytest.raises(GraphQLError, match="DateTime"):
        read_date_time(value)


def test_a_naive_time_cannot_leave():
    with pytest.raises(ValueError, match="zone"):
        write_date_time(datetime(2026, 1, 31))  # noqa: DTZ001
    offset = datetime(2026, 1, 31, 2, tzinfo=timezone(timedelta(hours=2)))
    assert write_date_time(offset) == "2026-01-31T00:00:00.000000Z"


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=99_999)))
def test_a_duration_goes_out_as_iso_8601_and_comes_back(value):
    assert read_duration(write_duration(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(milliseconds=20), "PT0.02S"),
        (timedelta(minutes=90), "PT1H30M"),
        (timedelta(days=7), "P7D"),
        (timedelta(days=1, seconds=10), "P1DT10S"),
        (-timedelta(seconds=1.5), "-PT1.5S"),
    ],
)
def test_a_duration_is_as_short_as_it_goes(value, text):
    assert write_duration(value) == text


@pytest.mark.parametrize("value", ["P", "PT", "P1DT", "1D", "P1Y", "PT1.1234567S", "", None, 5])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(GraphQLError, match="Duration"):
        read_duration(value)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(), st.lists))
def test_json_text_goes_out_verbatim(value):
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    assert orjson.dumps({"data": write_json(text)}) == b'{"data":' + text.encode() + b"}"


def test_venue_digits_survive_and_other_values_are_encoded():
    text = '{ "p":0.1234567891234567891, "q":1e400,"p":"twice" }'
    assert orjson.dumps(write_json(text)) == text.encode()
    assert write_json({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (read_date, "2026-01-31", ["2026-02-30", "20260131", "2026-W01-1", 5, None]),
        (read_uuid, "01900000-0000-7000-8000-000000000001", ["x", 5, None, "0" * 31]),
        (read_long, 2**62, [2**63, 1.5, "5", True, None]),
        (read_cursor, "AQ", ["", 5, None, "x" * 20_000]),
    ],
)
def test_the_small_scalars_take_what_they_are_and_nothing_else(read, good, bad):
    read(good)
    for value in bad:
        with pytest.raises(GraphQLError):
            read(value)
