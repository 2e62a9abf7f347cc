"""Futures against what can be worked out on paper, and against each other."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.goals import GoalType, required_monthly
from domain.goals.habits import Estimate
from domain.goals.months import months_later
from domain.goals.simulation import CHANCES, Futures, Scenario
from infra.goals.simulation import NumpySimulator, courses
from tests.domain.goals.samples import goal

START = date(2026, 11, 30)  # the end of a month: whole months follow
EXACTLY_NOTHING = Estimate(0.0, 0.0)
SAVER = Scenario(
    start=START,
    target_date=date(2028, 11, 30),
    target_amount=Decimal(12_000),
    saved_amount=Decimal(1_000),
    currency="EUR",
    monthly=Decimal(450),
    habit=Estimate(450.0, 150.0, 12.0, 12),
    market=None,
    owes=False,
    annual_interest_rate=Decimal(0),
    seed=20261130,
    paths=2_000,
)
CERTAIN = replace(SAVER, habit=EXACTLY_NOTHING)
INVESTOR = replace(SAVER, market=Estimate(0.004, 0.05, 150.0, 30))


def simulate(scenario: Scenario, shares: Sequence[Decimal] = CHANCES) -> Futures:
    return NumpySimulator().simulate(scenario, shares)


@pytest.mark.parametrize(
    ("currency", "needed"), [("EUR", "458.34"), ("JPY", "459"), ("KWD", "458.334")]
)
def test_without_chance_the_contribution_is_the_division_rounded_up(
    currency: str, needed: str
) -> None:
    futures = simulate(replace(CERTAIN, currency=currency))  # 11,000 in 24 months
    assert {str(one) for one in futures.contributions.values()} == {needed}


def test_without_chance_a_saver_is_on_track_to_the_cent() -> None:
    enough, day = Decimal("458.34"), SAVER.target_date
    assert simulate(replace(CERTAIN, monthly=enough)).probability == 1
    assert simulate(replace(CERTAIN, monthly=enough - Decimal("0.01"))).probability == 0
    assert set(simulate(replace(CERTAIN, monthly=enough)).dates.values()) == {day}


def test_what_divides_evenly_is_not_rounded_up() -> None:
    even = replace(CERTAIN, target_amount=Decimal("11800.00"))
    assert set(simulate(even).contributions.values()) == {Decimal("450.00")}


def test_what_floats_add_is_not_rounded_up_to_a_cent() -> None:
    small = replace(CERTAIN, target_amount=Decimal("1.10"), saved_amount=Decimal("0.20"))
    month = replace(small, target_date=date(2026, 12, 31))
    assert 1.10 - 0.20 > 0.90
    assert set(simulate(month).contributions.values()) == {Decimal("0.90")}


def test_what_comes_by_itself_needs_nothing() -> None:
    nearly = replace(INVESTOR, saved_amount=Decimal(11_990))
    assert simulate(nearly).contributions[CHANCES[0]] == Decimal("0.00")


@pytest.mark.parametrize("rate", ["0", "0.06", "0.18", "0.9"])
@pytest.mark.parametrize("start", [date(2026, 11, 3), date(2026, 11, 30), date(2027, 2, 14)])
@pytest.mark.parametrize("target_date", [date(2027, 3, 5), date(2029, 6, 30)])
def test_without_chance_the_contribution_is_the_required_one(
    rate: str, start: date, target_date: date
) -> None:
    debt = goal(
        type=GoalType.DEBT_PAYOFF,
        annual_interest_rate=Decimal(rate),
        target_amount=SAVER.target_amount,
        saved_amount=SAVER.saved_amount,
        target_date=target_date,
    )
    scenario = replace(
        CERTAIN,
        start=start,
        target_date=target_date,
        owes=True,
        annual_interest_rate=Decimal(rate),
    )
    required = required_monthly(debt, start)
    assert required is not None
    # Progress rounds each month's interest to the cent, futures only the answer.
    assert abs(simulate(scenario).contributions[CHANCES[0]] - required) <= Decimal("0.01")


@pytest.mark.parametrize("rate", ["0.06", "0.18", "0.299"])
def test_without_chance_a_debt_is_an_annuity(rate: str) -> None:
    debt = replace(CERTAIN, owes=True, annual_interest_rate=Decimal(rate))
    monthly = Decimal(rate) / 12
    annuity = 11_000 * monthly / (1 - (1 + monthly) ** -24)
    needed = annuity.quantize(Decimal("0.01"), ROUND_CEILING)
    assert set(simulate(debt).contributions.values()) == {needed}
    assert simulate(replace(debt, monthly=needed)).probability == 1
    assert simulate(replace(debt, monthly=needed - Decimal("0.01"))).probability == 0


def test_a_debt_that_interest_outgrows_is_never_paid_off() -> None:
    debt = replace(CERTAIN, owes=True, annual_interest_rate=Decimal("0.6"))
    assert set(simulate(debt).dates.values()) == {None}


def test_without_chance_savings_grow_as_compound_interest_says() -> None:
    month = 0.003
    futures = simulate(replace(CERTAIN, market=Estimate(month, 0.0)))
    grown = math.exp(month)
    due = (12_000 - 1_000 * grown**24) * (grown - 1) / (grown**24 - 1)
    assert set(futures.contributions.values()) == {Decimal(math.ceil(due * 100)) / 100}


@pytest.mark.parametrize("months", [1, 12, 120])
@pytest.mark.parametrize("chance", [0.1, 0.5, 0.8, 0.95])
def test_wealth_without_contributions_is_lognormal(months: int, chance: float) -> None:
    mean, spread, paths = 0.005, 0.06, 20_000
    scenario = replace(
        CERTAIN,
        saved_amount=Decimal(1_000),
        target_date=months_later(START, months),
        market=Estimate(mean, spread),
        paths=paths,
        horizon_months=months,
    )
    *_, last = courses(scenario)
    deep = NormalDist(mean * months, spread * months**0.5).inv_cdf(1 - chance)
    reached = np.count_nonzero(last.money >= 1_000 * math.exp(deep)) / paths
    assert reached == pytest.approx(chance, abs=4 * (chance * (1 - chance) / paths) ** 0.5)


def test_the_chance_of_a_lognormal_month_is_as_worked_out() -> None:
    scenario = replace(
        CERTAIN,
        saved_amount=Decimal(11_500),
        monthly=Decimal(0),
        target_date=date(2026, 12, 31),
        market=Estimate(0.004, 0.05),
        paths=10_000,
    )
    chance = 1 - NormalDist(0.004, 0.05).cdf(math.log(12_000 / 11_500))
    told = float(simulate(scenario).probability)
    assert told == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 10_000) ** 0.5)


def test_a_target_that_was_touched_was_reached() -> None:
    """Discretely watched barriers: Broadie, Glasserman and Kou, 1997."""
    spread, months = 0.06, 60
    scenario = replace(
        CERTAIN,
        saved_amount=Decimal(10_000),
        monthly=Decimal(0),
        target_date=months_later(START, months),
        market=Estimate(0.0, spread),
        paths=10_000,
    )
    barrier = math.log(1.2) + 0.5826 * spread
    touched = 2 * (1 - NormalDist().cdf(barrier / (spread * months**0.5)))
    assert float(simulate(scenario).probability) == pytest.approx(touched, abs=0.02)


@pytest.mark.parametrize("months", [1, 6, 24, 120])
def test_a_sure_habit_is_a_normal_sum(months: int) -> None:
    scenario = replace(
        SAVER,
        saved_amount=Decimal(0),
        target_date=months_later(START, months),
        habit=Estimate(450.0, 40.0),
        horizon_months=months,
        paths=20_000,
    )
    *_, last = courses(scenario)
    assert last.weight.tolist() == [months] * scenario.paths
    assert last.money.mean() == pytest.approx(0, abs=4 * 40 * (months / 20_000) ** 0.5)
    assert last.money.std() == pytest.approx(40 * months**0.5, rel=0.02)


def test_an_unsure_habit_is_a_students_t() -> None:
    habit = Estimate(450.0, 100.0, 6.0, 4)
    scenario = replace(SAVER, saved_amount=Decimal(0), habit=habit, paths=20_000)
    *_, last = courses(replace(scenario, horizon_months=24))
    scale = 100 * (24 + 24**2 / 6) ** 0.5
    for chance, quantile in ((0.8, 0.941), (0.95, 2.132), (0.975, 2.776)):  # of t with 4 degrees
        below = np.count_nonzero(last.money <= quantile * scale) / scenario.paths
        assert below == pytest.approx(chance, abs=0.01)


def test_money_comes_in_evenly_over_a_part_of_a_month() -> None:
    scenario = replace(CERTAIN, start=date(2026, 11, 20), target_date=date(2027, 1, 10))
    months = 10 / 30 + 1 + 10 / 31
    needed = simulate(scenario).contributions[CHANCES[0]]
    assert needed == Decimal(math.ceil(11_000 / months * 100)) / 100


@pytest.mark.parametrize("scenario", [SAVER, INVESTOR, replace(SAVER, owes=True)])
def test_equal_scenarios_have_equal_futures_and_other_seeds_others(scenario: Scenario) -> None:
    assert simulate(scenario) == simulate(replace(scenario))
    assert simulate(scenario) != simulate(replace(scenario, seed=1))


def test_futures_are_the_same_on_every_machine() -> None:
    futures = simulate(INVESTOR)
    assert futures.probability == Decimal("0.592")
    assert [str(futures.contributions[one]) for one in CHANCES] == ["431.76", "505.84", "591.78"]
    assert [str(futures.dates[one]) for one in CHANCES] == [
        "2028-11-01",
        "2029-03-06",
        "2029-08-24",
    ]


def test_a_market_beyond_all_numbers_is_no_obstacle() -> None:
    wild = replace(INVESTOR, market=Estimate(0.5, 3.0, 2.0, 1), target_amount=Decimal(10**9))
    futures = simulate(wild)
    assert 0 < futures.probability < 1
    assert all(one.is_finite() for one in futures.contributions.values())


def test_a_date_beyond_the_horizon_is_none() -> None:
    slow = replace(SAVER, target_amount=Decimal(10**7), horizon_months=120)
    assert set(simulate(slow).dates.values()) == {None}


def test_the_target_date_is_watched_beyond_the_horizon() -> None:
    far = replace(CERTAIN, target_date=date(2066, 11, 30), target_amount=Decimal(217_000))
    assert simulate(far).contributions[CHANCES[0]] == Decimal("450.00")  # 480 months
    assert simulate(far).probability == 1


def test_a_target_date_that_is_not_ahead_has_no_contributions() -> None:
    assert simulate(replace(SAVER, target_date=START)).contributions == {}
    assert simulate(replace(SAVER, target_date=START)).dates[CHANCES[0]]


scenarios = st.builds(
    replace,
    st.sampled_from([SAVER, INVESTOR, replace(SAVER, owes=True)]),
    seed=st.integers(0, 2**48 - 1),
    start=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    target_date=st.dates(date(2027, 1, 1), date(2032, 1, 1)),
    target_amount=st.integers(1_001, 40_000).map(Decimal),
    monthly=st.integers(0, 2_000).map(Decimal),
    habit=st.builds(
        Estimate,
        st.just(450.0),
        st.floats(0, 400),
        st.floats(0.25, 60),
        st.integers(1, 20),
    ),
    annual_interest_rate=st.sampled_from([Decimal(0), Decimal("0.12")]),
    paths=st.sampled_from([97, 400]),
    horizon_months=st.just(90),
)
properties = settings(max_examples=60, deadline=None)


@properties
@given(scenarios)
def test_a_contribution_for_a_chance_gives_that_chance(scenario: Scenario) -> None:
    futures = simulate(scenario)
    assert 0 <= futures.probability <= 1
    needed = [futures.contributions[chance] for chance in CHANCES]
    assert needed == sorted(needed)
    for chance, amount in zip(CHANCES, needed, strict=True):
        assert simulate(replace(scenario, monthly=amount)).probability >= chance
        if amount:
            less = replace(scenario, monthly=amount - Decimal("0.02"))
            assert simulate(less).probability < chance + Decimal(2) / scenario.paths


@properties
@given(scenarios, st.integers(1, 500), st.integers(1, 400))
def test_more_money_more_time_or_a_smaller_target_is_never_less_likely(
    scenario: Scenario, more: int, days: int
) -> None:
    now = simulate(scenario).probability
    later = scenario.target_date + timedelta(days=days)
    smaller = max(scenario.target_amount - more, scenario.saved_amount)
    assert simulate(replace(scenario, monthly=scenario.monthly + more)).probability >= now
    assert simulate(replace(scenario, target_date=later)).probability >= now
    assert simulate(replace(scenario, target_amount=smaller)).probability >= now


@properties
@given(scenarios)
def test_dates_are_in_order_and_in_time_exactly_when_likely_enough(scenario: Scenario) -> None:
    futures = simulate(scenario)
    days = [futures.dates[chance] or date.max for chance in CHANCES]
    assert all(sooner <= later for sooner, later in pairwise(days))
    for chance, day in zip(CHANCES, days, strict=True):
        assert (day <= scenario.target_date) == (futures.probability >= chance)
