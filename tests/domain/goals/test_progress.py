from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from domain.goals.facts import GoalFacts, GoalType
from domain.goals.months import month_end, months_later, stretches
from domain.goals.progress import (
    Pace,
    PaceSource,
    days_ahead,
    expected_by,
    milestones_passed,
    pace_of,
    percent_of,
    progress_of,
    projected_date,
    required_monthly,
)
from tests.domain.goals.samples import (
    TODAY,
    cents,
    check_ins,
    days,
    goal,
    goals,
    left_by_hand,
    shares_of_months,
)

CENT = Decimal("0.01")


@given(goals(), st.integers(0, 3))
def test_the_required_contribution_reaches_the_target_by_its_date_and_a_cent_less_does_not(
    one: GoalFacts, fewer: int
) -> None:
    required = required_monthly(one, TODAY)
    assert required is not None
    assert left_by_hand(one, required, one.target_date) == 0
    if required:
        assert left_by_hand(one, required - CENT * (fewer + 1), one.target_date) > 0
    else:
        assert one.saved_amount >= one.target_amount


@given(goals(), st.integers(-3, 3), st.booleans())
def test_a_pace_gets_there_in_time_exactly_when_it_is_at_least_what_is_required(
    one: GoalFacts, more: int, twice: bool
) -> None:
    required = required_monthly(one, TODAY)
    assume(required)
    assert required is not None
    monthly = max(required * (2 if twice else 1) + CENT * more, Decimal(0))
    there = projected_date(one, monthly, TODAY)
    assert (there is not None and there <= one.target_date) == (monthly >= required)


@given(goals(), cents(1, 10**7))
def test_the_projected_date_is_the_first_day_with_nothing_left(
    one: GoalFacts, monthly: Decimal
) -> None:
    assume(one.saved_amount < one.target_amount)
    there = projected_date(one, monthly, TODAY)
    assume(there is not None and there < date(2040, 1, 1))
    assert there is not None
    assert left_by_hand(one, monthly, there) == 0
    assert left_by_hand(one, monthly, there - timedelta(days=1)) > 0


@given(goals(debt=True), cents(0, 10**7))
def test_more_is_required_of_a_dearer_debt_and_it_takes_longer(
    one: GoalFacts, monthly: Decimal
) -> None:
    assert one.annual_interest_rate is not None
    dearer = replace(one, annual_interest_rate=one.annual_interest_rate + Decimal("0.01"))
    assert (required_monthly(dearer, TODAY) or 0) >= (required_monthly(one, TODAY) or 0)
    there = projected_date(dearer, monthly, TODAY)
    assert there is None or there >= (projected_date(one, monthly, TODAY) or date.max)


@given(goals(), cents(), cents(0, 10**7))
def test_more_saved_means_more_percent_and_less_to_contribute(
    one: GoalFacts, more: Decimal, monthly: Decimal
) -> None:
    richer = replace(one, saved_amount=one.saved_amount + more)
    assert percent_of(richer) >= percent_of(one)
    assert days_ahead(richer, TODAY) >= days_ahead(one, TODAY)
    assert (required_monthly(richer, TODAY) or 0) <= (required_monthly(one, TODAY) or 0)
    sooner, later = projected_date(richer, monthly, TODAY), projected_date(one, monthly, TODAY)
    assert later is None or (sooner is not None and sooner <= later)


@given(goals(), st.integers(1, 1000))
def test_more_time_means_less_to_contribute(one: GoalFacts, longer: int) -> None:
    later = replace(one, target_date=one.target_date + timedelta(days=longer))
    assert (required_monthly(later, TODAY) or 0) <= (required_monthly(one, TODAY) or 0)


@given(goals())
def test_percent_is_between_0_and_100_and_100_only_when_all_is_saved(one: GoalFacts) -> None:
    assert 0 <= percent_of(one) <= 100
    assert (percent_of(one) == 100) == (one.saved_amount >= one.target_amount)


def test_percent_is_not_flattered_by_rounding() -> None:
    nearly = goal(target_amount=Decimal(1000000), saved_amount=Decimal("999999.99"))
    assert percent_of(nearly) == Decimal("99.99")
    assert percent_of(goal(saved_amount=Decimal(-5))) == 0
    assert percent_of(goal(saved_amount=Decimal(7000))) == 100


@given(goals(), days, st.integers(0, 400))
def test_what_is_expected_grows_from_start_to_target(one: GoalFacts, day: date, later: int) -> None:
    low, high = expected_by(one, day), expected_by(one, day + timedelta(days=later))
    assert one.starting_amount <= low <= high <= one.target_amount
    assert expected_by(one, one.started_on) == one.starting_amount
    assert expected_by(one, one.target_date) == one.target_amount


@given(goals(target_amount=Decimal(9_000_000)))
def test_days_and_money_agree_on_who_is_behind(one: GoalFacts) -> None:
    found = progress_of(one, TODAY)
    if found.days_ahead:
        assert (found.days_ahead > 0) == (found.ahead > 0)
    a_day = one.target_amount / (one.target_date - one.started_on).days
    on_the_line = expected_by(one, TODAY + timedelta(days=found.days_ahead))
    assert abs(on_the_line - min(one.saved_amount, one.target_amount)) < a_day + 1


def test_ahead_and_behind_in_days_are_those_of_the_line() -> None:
    year = {"started_on": date(2026, 1, 1), "target_date": date(2027, 1, 1)}
    one = goal(target_amount=Decimal(3650), saved_amount=Decimal(1000), **year)
    assert days_ahead(one, date(2026, 1, 1) + timedelta(days=100)) == 0
    assert days_ahead(one, date(2026, 1, 1) + timedelta(days=93)) == 7
    assert days_ahead(one, date(2026, 1, 1) + timedelta(days=130)) == -30
    assert days_ahead(replace(one, saved_amount=Decimal(9999)), date(2026, 12, 1)) == 31
    assert days_ahead(one, date(2028, 1, 1)) == 100 - 365


def test_an_overdue_goal_asks_for_no_monthly_contribution() -> None:
    assert required_monthly(goal(target_date=TODAY), TODAY) is None
    assert required_monthly(goal(target_date=TODAY, saved_amount=Decimal(6000)), TODAY) == 0


def test_a_goal_that_nobody_pays_into_has_no_projected_date() -> None:
    assert projected_date(goal(), Decimal(0), TODAY) is None
    assert projected_date(goal(), Decimal(-5), TODAY) is None
    assert projected_date(goal(), Decimal("0.01"), TODAY) is None  # within a hundred years
    debt = goal(type=GoalType.DEBT_PAYOFF, annual_interest_rate=Decimal("0.12"))
    assert projected_date(debt, Decimal("36.00"), TODAY) is None  # its interest
    assert projected_date(debt, Decimal("50.00"), TODAY) is not None


@pytest.mark.parametrize(
    ("rate", "owed", "until"),
    [("10", "1000000000000000", "2106-01-01"), ("9.9455", "2482213732.52", "2092-12-16")],
)
def test_a_debt_that_would_grow_past_all_numbers_still_has_a_required_payment(
    rate: str, owed: str, until: str
) -> None:
    debt = goal(
        type=GoalType.DEBT_PAYOFF,
        annual_interest_rate=Decimal(rate),
        target_amount=Decimal(owed),
        target_date=date.fromisoformat(until),
        saved_amount=Decimal(0),
    )
    required = required_monthly(debt, TODAY)
    assert required is not None
    assert left_by_hand(debt, required, debt.target_date) == 0


def test_yen_are_required_in_whole_yen() -> None:
    yen = goal(currency="JPY", target_amount=Decimal(100_000), saved_amount=Decimal(0))
    required = required_monthly(yen, TODAY)
    assert required is not None
    assert required == required.to_integral_value()
    assert required.as_tuple().exponent == 0


@example(date(2026, 11, 30), date(2027, 1, 31))
@given(days, days)
def test_stretches_are_the_months_between_two_days_with_their_parts(
    after: date, until: date
) -> None:
    found = stretches(after, until)
    assert sum(one.days for one in found) == max((until - after).days, 0)
    assert [one.due for one in found[:-1]] == [month_end(one.due) for one in found[:-1]]
    assert all(one.whole for one in found[1:-1])
    assert [one.due for one in found[-1:]] == [until][: len(found)]
    expected = list(shares_of_months(after, until))
    assert [one.days / one.of for one in found] == [float(share) for share in expected]


def saver(*monthly: int, **changes: object) -> GoalFacts:
    """Saved so much in each month since January."""
    total, found = 0, []
    for month, amount in enumerate(monthly, 2):
        total += amount
        found.append((date(2026, month, 1), total))
    return goal(saved_amount=Decimal(total), check_ins=check_ins(*found), **changes)


def test_the_pace_of_a_steady_saver_is_what_is_saved_a_month() -> None:
    assert pace_of(saver(250, 250, 250, 250, 250, 250, 250), TODAY) == Pace(
        Decimal(250), PaceSource.HISTORY, 6
    )


def test_one_windfall_and_one_bad_month_do_not_decide_the_pace() -> None:
    assert pace_of(saver(200, 200, 5000, 200, 0, 200), TODAY).monthly == 200
    assert pace_of(saver(200, 200, 5000, 200), TODAY).monthly == 200
    assert pace_of(saver(200, 200, 5000), TODAY).monthly == 1800  # too few to leave any out


def test_only_the_last_six_months_count() -> None:
    assert pace_of(saver(900, 900, 900, 100, 100, 100, 100, 100, 100), TODAY).monthly == 100


def test_without_a_month_of_check_ins_the_plan_is_the_pace() -> None:
    planned = Pace(Decimal(300), PaceSource.PLAN, 0)
    assert pace_of(goal(), TODAY) == planned
    assert pace_of(goal(check_ins=check_ins((date(2026, 1, 31), 9000))), TODAY) == planned
    assert pace_of(saver(100, 100), date(2026, 1, 31)) == planned  # as of then


def test_what_is_saved_between_two_check_ins_counts_evenly_by_days() -> None:
    rare = goal(check_ins=check_ins((date(2026, 7, 2), 1820)))  # 182 days, 10 a day
    assert pace_of(rare, TODAY).monthly == 305  # 30, 30, 31 and 31 days; without 28 and 31


def test_who_takes_money_out_has_a_negative_pace_and_no_date() -> None:
    found = progress_of(saver(500, -100, -100, -100, -100, -100), TODAY)
    assert found.pace.monthly == -100
    assert found.projected_date is None


def test_the_pace_of_a_debt_counts_the_interest_that_was_paid() -> None:
    owed, found = Decimal(6000), []
    for month in range(2, 10):
        owed = owed * Decimal("1.01") - 200
        found.append((date(2026, month, 1), 6000 - owed))
    debt = goal(
        type=GoalType.DEBT_PAYOFF,
        annual_interest_rate=Decimal("0.12"),
        saved_amount=6000 - owed,
        check_ins=check_ins(*found),
    )
    assert pace_of(debt, TODAY).monthly == 200


def test_milestones_are_passed_once() -> None:
    assert milestones_passed(Decimal(10), Decimal("50.00")) == (25, 50)
    assert milestones_passed(Decimal(50), Decimal("74.99")) == ()
    assert milestones_passed(Decimal(80), Decimal(60)) == ()
    assert milestones_passed(Decimal("99.99"), Decimal(100)) == (100,)


def test_months_later_ends_with_a_shorter_month() -> None:
    assert months_later(date(2026, 8, 31), -6) == date(2026, 2, 28)
    assert months_later(date(2027, 12, 31), 2) == date(2028, 2, 29)
