"""What history and plan tell of the months to come."""

import math
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.goals.facts import CheckInFact, GoalFacts, GoalType
from domain.goals.habits import ENOUGH_STRETCHES, Estimate, Paid, habit_of, market_of, paid_by
from tests.domain.goals.samples import GOAL, check_ins

TODAY = date(2026, 11, 21)


def paid(goal: GoalFacts, *returns: float, market: Estimate | None = None) -> list[float]:
    return [one.monthly for one in paid_by(goal, TODAY, returns, market)]


def saved(*totals: tuple[date, int]) -> GoalFacts:
    return replace(GOAL, started_on=date(2026, 1, 31), check_ins=check_ins(*totals))


def test_what_was_saved_between_check_ins_counts_by_months() -> None:
    goal = saved((date(2026, 2, 28), 300), (date(2026, 4, 30), 500), (date(2026, 5, 15), 500))
    goal = replace(goal, check_ins=(*goal.check_ins, CheckInFact(date(2026, 5, 31), Decimal(900))))
    assert paid(goal) == [300, 100, 400]
    assert [one.months for one in paid_by(goal, TODAY, (), None)] == [1, 2, 1]


def test_check_ins_of_the_future_and_of_the_same_weeks_are_no_stretches() -> None:
    close = saved((date(2026, 2, 10), 300), (date(2026, 2, 24), 500))
    assert paid(close) == []
    assert paid(saved((TODAY + timedelta(days=30), 900))) == []


def test_withdrawals_are_negative_contributions() -> None:
    assert paid(saved((date(2026, 2, 28), 300), (date(2026, 3, 31), 100))) == [300, -200]


def test_a_long_history_has_eight_stretches_however_often_one_checks_in() -> None:
    weekly = [(date(2020, 1, 1) + timedelta(days=7 * week), 50 * week) for week in range(1, 350)]
    goal = replace(saved(*weekly), started_on=date(2020, 1, 1))
    stretches = paid_by(goal, TODAY, (), None)
    assert 7 <= len(stretches) <= 8
    assert {round(one.monthly) for one in stretches} <= set(range(215, 221))


def test_the_interest_of_a_debt_was_paid_too() -> None:
    debt = replace(
        saved((date(2026, 2, 28), 300), (date(2026, 3, 31), 600)),
        type=GoalType.DEBT_PAYOFF,
        target_amount=Decimal(6_000),
        annual_interest_rate=Decimal("0.12"),
    )
    assert paid(debt) == pytest.approx([300 + 60, 300 + 57])


def test_what_the_market_did_was_not_contributed() -> None:
    goal = replace(
        saved((date(2026, 9, 30), 1_300), (date(2026, 10, 31), 1_500)),
        started_on=date(2026, 8, 31),
        starting_amount=Decimal(1_000),
    )
    up, down = math.log(1.1), math.log(0.9)
    market = Estimate(0.0, 0.1)
    assert paid(goal, up, down, market=market) == pytest.approx([200, 330])
    assert paid(goal, down, market=market) == pytest.approx([300, 330])  # one month is known
    assert paid(goal, market=Estimate(up, 0.1)) == pytest.approx([200, 70])


def test_without_history_the_plan_is_all_with_a_stated_spread() -> None:
    assert habit_of(500, []) == Estimate(500, 200, 2, 8)
    assert habit_of(0, []) == Estimate(0, 0, 2, 8)


def test_a_single_stretch_stands_beside_two_months_of_the_plan() -> None:
    habit = habit_of(500, [Paid(1.0, 200.0)])
    assert habit.mean == pytest.approx((2 * 500 + 200) / 3)
    assert (habit.months, habit.freedom) == (3, 9)


def test_history_speaks_for_itself_and_the_plan_weighs_a_week() -> None:
    habit = habit_of(500, [Paid(1.0, 200.0), Paid(3.0, 240.0)])
    assert habit.mean == pytest.approx((0.25 * 500 + 200 + 3 * 240) / 4.25)
    assert (habit.months, habit.freedom) == (4.25, 3)


def test_history_without_a_plan_is_its_own() -> None:
    habit = habit_of(0, [Paid(1.0, 200.0), Paid(1.0, 240.0)])
    assert (habit.mean, habit.months, habit.freedom) == (220, 2, 2)
    assert habit.spread == pytest.approx((((0.3 * 220) ** 2 + 2 * 20**2) / 2) ** 0.5)


@given(
    st.floats(0, 10_000),
    st.lists(st.builds(Paid, st.floats(0.8, 24), st.floats(-5_000, 10_000)), max_size=12),
)
def test_a_habit_lies_between_plan_and_history_and_is_surer_with_more(
    plan: float, stretches: list[Paid]
) -> None:
    habit = habit_of(plan, stretches)
    known = [one.monthly for one in stretches] + ([plan] if plan or not stretches else [])
    assert min(known) - 1e-6 <= habit.mean <= max(known) + 1e-6
    assert habit.spread >= 0
    assert habit.freedom is not None
    assert habit.freedom >= 1
    longer = habit_of(plan, [*stretches, *stretches])
    assert longer.months > habit.months or len(stretches) < ENOUGH_STRETCHES


def test_a_market_without_a_series_grows_by_five_percent_a_year() -> None:
    market = market_of(())
    assert math.exp(12 * market.mean) == pytest.approx(1.05)
    assert market.spread == pytest.approx(0.045)
    assert (market.months, market.freedom) == (120, 3)


def test_a_short_series_tells_how_a_market_swings_and_hardly_where_it_goes() -> None:
    market = market_of([0.3, 0.1] * 12)  # 0.2 a month: tenfold a year
    assert market.spread == pytest.approx(0.1, rel=0.15)
    assert 0.02 < market.mean < 0.04
    assert (market.months, market.freedom) == (144, 26)


def test_a_long_series_speaks_for_itself() -> None:
    assert market_of([0.03, 0.01] * 1_000).mean == pytest.approx(0.02, rel=0.06)
