from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput, NoFieldsToUpdate, StaleVersion
from domain.goals.errors import (
    GoalClosed,
    GoalLimitReached,
    InvalidAmount,
    InvalidCheckInDate,
    InvalidGoalDate,
)
from domain.goals.facts import CheckInFact, GoalStatus, GoalType
from domain.goals.money import (
    MONEY,
    check_amount,
    check_money,
    decimals_of,
    rounded,
    rounded_down,
    rounded_up,
    unit_of,
    words,
)
from domain.goals.rules import (
    CHANGES,
    GoalLimits,
    GoalPatch,
    GoalTerms,
    StreakPeriod,
    changed_status,
    check_room,
    check_version,
    checked,
    checked_check_in,
    no_longer_primary,
    revised,
    status_after,
    stays_primary,
    streak,
    with_check_in,
)
from domain.identity.places import CURRENCIES
from tests.domain.goals.samples import TODAY, check_ins

LIMITS = GoalLimits()
TERMS = GoalTerms(GoalType.TRAVEL, " Japan ", Decimal(6000), "EUR", date(2027, 6, 30))
OPEN = (GoalStatus.ACTIVE, GoalStatus.PAUSED)
CLOSED = (GoalStatus.REACHED, GoalStatus.ABANDONED)


def test_a_goal_keeps_its_terms_trimmed_and_in_cents() -> None:
    kept = checked(TERMS, TODAY, LIMITS)
    assert kept == replace(TERMS, name="Japan")
    assert str(kept.target_amount) == "6000.00"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": "  "}),
        ("name", {"name": "x" * 101}),
        ("currency", {"currency": "EURO"}),
        ("currency", {"currency": "XAU"}),
        ("startingAmount", {"starting_amount": Decimal(6000)}),
        ("annualInterestRate", {"annual_interest_rate": Decimal("0.1")}),
        *(
            ("annualInterestRate", {"type": GoalType.DEBT_PAYOFF, "annual_interest_rate": rate})
            for rate in (Decimal("-0.1"), Decimal(11), Decimal("0.1234567"), Decimal("NaN"))
        ),
    ],
)
def test_terms_that_cannot_be_kept_name_their_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as raised:
        checked(replace(TERMS, **changes), TODAY, LIMITS)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("targetAmount", {"target_amount": Decimal(0)}),
        ("targetAmount", {"target_amount": Decimal("0.001")}),
        ("targetAmount", {"target_amount": Decimal("10.5"), "currency": "JPY"}),
        ("startingAmount", {"starting_amount": Decimal(-1)}),
        ("monthlyContribution", {"monthly_contribution": Decimal("Infinity")}),
        ("monthlyContribution", {"monthly_contribution": Decimal(10) ** 16}),
    ],
)
def test_amounts_that_cannot_be_kept_name_their_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidAmount) as raised:
        checked(replace(TERMS, **changes), TODAY, LIMITS)
    assert raised.value.field == field


@pytest.mark.parametrize("day", [TODAY, TODAY - timedelta(days=1), date(2106, 11, 22)])
def test_a_target_date_is_in_the_future_and_not_too_far(day: date) -> None:
    with pytest.raises(InvalidGoalDate) as raised:
        checked(replace(TERMS, target_date=day), TODAY, LIMITS)
    assert raised.value.date == day


def test_the_first_and_the_last_day_that_a_goal_may_have() -> None:
    for day in (TODAY + timedelta(days=1), date(2106, 11, 21)):
        assert checked(replace(TERMS, target_date=day), TODAY, LIMITS).target_date == day


def test_a_change_takes_only_what_it_names_and_is_checked_as_a_whole() -> None:
    patch: GoalPatch = {"name": "Kyoto "}
    assert revised(GoalStatus.PAUSED, TERMS, patch, TODAY, LIMITS).name == "Kyoto"
    with pytest.raises(InvalidInput):
        revised(
            GoalStatus.ACTIVE,
            replace(TERMS, starting_amount=Decimal(500)),
            {"target_amount": Decimal(400)},
            TODAY,
            LIMITS,
        )
    with pytest.raises(NoFieldsToUpdate):
        revised(GoalStatus.ACTIVE, TERMS, {}, TODAY, LIMITS)


def test_an_overdue_goal_can_be_renamed_but_gets_no_date_that_is_over() -> None:
    after = TERMS.target_date + timedelta(days=9)
    assert revised(GoalStatus.ACTIVE, TERMS, {"name": "Late"}, after, LIMITS).name == "Late"
    with pytest.raises(InvalidGoalDate):
        revised(GoalStatus.ACTIVE, TERMS, {"target_date": TERMS.target_date}, after, LIMITS)


@pytest.mark.parametrize("status", CLOSED)
def test_a_closed_goal_does_not_change(status: GoalStatus) -> None:
    for change in (
        lambda: revised(status, TERMS, {"name": "New"}, TODAY, LIMITS),
        lambda: changed_status(status, GoalStatus.ACTIVE),
        lambda: no_longer_primary({1}, 2, status),
        lambda: checked_check_in(CheckInFact(TODAY, Decimal(1)), status, "EUR", TODAY, LIMITS),
    ):
        with pytest.raises(GoalClosed) as raised:
            change()
        assert raised.value.status is status


def test_open_goals_may_become_anything_and_closed_ones_nothing() -> None:
    assert set(CHANGES) == set(GoalStatus)
    for status in OPEN:
        assert CHANGES[status] == set(GoalStatus) - {status}
        for wanted in GoalStatus:
            assert changed_status(status, wanted) is wanted
    assert not any(CHANGES[status] for status in CLOSED)


def test_a_goal_with_all_of_its_target_is_reached_unless_it_is_closed() -> None:
    full = Decimal(6000)
    assert [status_after(status, full, full) for status in GoalStatus] == [
        GoalStatus.REACHED,
        GoalStatus.REACHED,
        GoalStatus.REACHED,
        GoalStatus.ABANDONED,
    ]
    assert status_after(GoalStatus.PAUSED, full - 1, full) is GoalStatus.PAUSED


def test_there_is_room_until_the_limit() -> None:
    check_room(4, LIMITS)
    with pytest.raises(GoalLimitReached) as raised:
        check_room(5, LIMITS)
    assert (raised.value.current_count, raised.value.max_count) == (5, 5)
    check_room(5, GoalLimits(active_goals=6))


def test_a_change_of_an_older_version_is_stale() -> None:
    check_version(3, 3)
    with pytest.raises(StaleVersion):
        check_version(2, 3)


def test_there_is_one_primary_goal_at_most() -> None:
    assert no_longer_primary({1}, 2, GoalStatus.ACTIVE) == {1}
    assert no_longer_primary({1}, 1, GoalStatus.PAUSED) == set()
    assert [stays_primary(True, status) for status in GoalStatus] == [True, True, False, False]
    assert not stays_primary(False, GoalStatus.ACTIVE)


@pytest.mark.parametrize("back", [0, 1, 365])
def test_check_ins_are_taken_for_today_and_a_year_back(back: int) -> None:
    told = CheckInFact(TODAY - timedelta(days=back), Decimal(0))
    assert checked_check_in(told, GoalStatus.ACTIVE, "EUR", TODAY, LIMITS) == told


@pytest.mark.parametrize("back", [-1, 366])
def test_check_ins_are_refused_for_the_future_and_longer_ago(back: int) -> None:
    told = CheckInFact(TODAY - timedelta(days=back), Decimal(10))
    with pytest.raises(InvalidCheckInDate):
        checked_check_in(told, GoalStatus.ACTIVE, "EUR", TODAY, LIMITS)


def test_a_second_check_in_of_a_day_corrects_the_first() -> None:
    old = check_ins((date(2026, 3, 1), 100), (date(2026, 5, 1), 300))
    new = CheckInFact(date(2026, 4, 1), Decimal(200))
    added, corrected = with_check_in(old, new)
    assert added == (old[0], new, old[1])
    assert corrected is None
    better = CheckInFact(date(2026, 3, 1), Decimal(150))
    assert with_check_in(added, better) == ((better, new, old[1]), old[0])


def days_back(*back: int) -> list[date]:
    return [TODAY - timedelta(days=days) for days in back]


def test_a_streak_of_weeks_counts_weeks_from_monday() -> None:
    saturday = TODAY  # and 5 days before was Monday
    assert saturday.weekday() == 5
    week = StreakPeriod.WEEK
    assert streak(days_back(0, 5, 6, 13), TODAY, week).current == 3  # 6 is the Sunday before
    assert streak(days_back(0, 5), TODAY, week).current == 1
    assert streak(days_back(6, 13), TODAY, week).current == 2  # this week is not over
    assert streak(days_back(13, 20, 27), TODAY, week).current == 0
    assert streak(days_back(13, 20, 27), TODAY, week).longest == 3


def test_a_streak_of_months_counts_calendar_months_across_years() -> None:
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 2, 28), date(2026, 4, 1)]
    found = streak(days, date(2026, 5, 31), StreakPeriod.MONTH)
    assert (found.current, found.longest) == (1, 3)
    assert streak(days, date(2026, 6, 1), StreakPeriod.MONTH).current == 0
    assert streak([], TODAY, StreakPeriod.MONTH).longest == 0


@given(
    st.sets(st.dates(date(2025, 6, 1), TODAY)),
    st.dates(date(2025, 6, 1), TODAY),
    st.sampled_from(StreakPeriod),
)
def test_one_more_check_in_never_shortens_a_streak(
    days: set[date], more: date, period: StreakPeriod
) -> None:
    before, after = streak(days, TODAY, period), streak(days | {more}, TODAY, period)
    assert before.current <= after.current <= after.longest
    assert before.longest <= after.longest <= len(days) + 1


def test_every_currency_that_exists_has_its_decimals_or_is_no_money() -> None:
    assert decimals_of("EUR") == 2
    assert [decimals_of(code) for code in ("JPY", "KWD", "CLF")] == [0, 3, 4]
    assert {code for code in MONEY if decimals_of(code) != 2} <= CURRENCIES
    assert {
        "XAG",
        "XAU",
        "XBA",
        "XBB",
        "XBC",
        "XBD",
        "XDR",
        "XPD",
        "XPT",
        "XSU",
        "XUA",
    } == CURRENCIES - MONEY
    with pytest.raises(InvalidInput):
        check_money("currency", "XDR")


@pytest.mark.parametrize(
    ("currency", "fits", "does_not"),
    [("EUR", "0.01", "0.001"), ("JPY", "1", "0.1"), ("KWD", "0.001", "0.0001")],
)
def test_amounts_have_at_most_the_decimals_of_their_currency(
    currency: str, fits: str, does_not: str
) -> None:
    most = Decimal(100)
    assert check_amount("a", Decimal(fits), currency, most=most) == unit_of(currency)
    kept = check_amount("a", Decimal("5.00000"), currency, most=most)
    assert str(kept) == str(Decimal(5).quantize(unit_of(currency)))
    with pytest.raises(InvalidAmount) as raised:
        check_amount("a", Decimal(does_not), currency, most=most)
    assert (raised.value.currency, raised.value.amount) == (currency, Decimal(does_not))


@given(st.decimals(-(10**12), 10**12, places=6), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_rounding_is_to_the_nearest_cent_up_or_down(amount: Decimal, currency: str) -> None:
    unit = unit_of(currency)
    low, near, high = (round_(amount, currency) for round_ in (rounded_down, rounded, rounded_up))
    assert low <= amount <= high
    assert high - low in (0, unit)
    assert near in (low, high)
    assert abs(near - amount) * 2 <= unit


def test_halves_are_rounded_away_from_zero_and_amounts_told_with_their_currency() -> None:
    assert rounded(Decimal("2.345"), "EUR") == Decimal("2.35")
    assert rounded(Decimal("-2.345"), "EUR") == Decimal("-2.35")
    assert words(Decimal("1234567.5"), "EUR") == "1,234,567.50 EUR"
    assert words(Decimal(1250), "JPY") == "1,250 JPY"
    assert str(check_amount("a", Decimal("-0"), "EUR", most=Decimal(1), zero=True)) == "0.00"
