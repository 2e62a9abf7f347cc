from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.feeds.backoff import Backoff, retry_after

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@given(
    st.integers(0, 10_000),
    st.floats(0, 1, exclude_max=True),
    st.floats(0.001, 10),
    st.floats(0.001, 600),
)
def test_waits_lie_between_nothing_and_the_cap(
    attempt: int, luck: float, base: float, cap: float
) -> None:
    wait = Backoff(base, cap).seconds(attempt, lambda: luck)
    assert 0 <= wait <= min(cap, base * 2.0 ** min(attempt, 32))


def test_waits_double_until_the_cap_and_are_spread_over_all_of_it() -> None:
    backoff = Backoff(0.5, 60)
    assert [backoff.seconds(attempt, lambda: 0.5) for attempt in range(9)] == [
        0.25, 0.5, 1, 2, 4, 8, 16, 30, 30,
    ]  # fmt: skip
    assert backoff.seconds(3, lambda: 0.0) == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("999999999999999999999", 86_400.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
