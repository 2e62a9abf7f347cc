"""How a goal is projected, whatever draws its futures."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from domain.goals.facts import GoalFacts, GoalStatus, GoalType
from domain.goals.simulation import (
    CHANCES,
    Futures,
    Projection,
    ProjectionMethod,
    Scenario,
    project,
    seed_of,
    start_of,
)
from tests.domain.goals.samples import GOAL, check_ins

TODAY = date(2026, 11, 21)
LATER = date(2027, 8, 9)
HISTORY = check_ins(
    (date(2026, 4, 30), 900), (date(2026, 7, 31), 1_700), (date(2026, 11, 1), 2_400)
)
KNOWN = replace(GOAL, check_ins=HISTORY)


@dataclass
class Foreseen:
    """A simulator that foresees the same whatever it is asked, and remembers what that was."""

    dates: date | None = LATER
    asked: list[Scenario] = field(default_factory=list)

    def simulate(self, scenario: Scenario, shares: Sequence[Decimal]) -> Futures:
        self.asked.append(scenario)
        return Futures(
            Decimal("0.7"),
            dict.fromkeys(shares, self.dates),
            dict.fromkeys(shares, Decimal("333.00")),
        )


def projected(goal: GoalFacts, *, by: date | None = LATER) -> Projection:
    return project(Foreseen(by), goal, TODAY)


def scenario(goal: GoalFacts, returns: Sequence[float] | None = None) -> Scenario:
    simulator = Foreseen()
    project(simulator, goal, TODAY, returns=returns)
    return simulator.asked[0]


def test_a_projection_says_what_it_rests_on() -> None:
    found = projected(KNOWN)
    assert found.method is ProjectionMethod.CHECK_INS
    assert (found.probability_on_track, found.p80_date) == (Decimal("0.7"), LATER)
    assert dict(found.contribution_for) == dict.fromkeys(CHANCES, Decimal("333.00"))
    assert (found.paths, found.horizon_months, found.seed) == (10_000, 360, seed_of(KNOWN, ()))
    assert found.assumptions[0].startswith("An average month brings 241.44 EUR")
    assert "over 10.0 months" in found.assumptions[0]
    assert all(sentence.endswith(".") for sentence in found.assumptions)


def test_too_little_history_is_said() -> None:
    once = projected(replace(GOAL, check_ins=HISTORY[:1]))
    assert once.method is ProjectionMethod.PLAN
    assert once.assumptions[0].startswith("There is too little history (4.0 months)")
    never = projected(GOAL)
    assert never.method is ProjectionMethod.PLAN
    assert never.monthly == 300
    assert "what is planned, 300.00 EUR, give or take 28.28 percent" in never.assumptions[0]
    unplanned = projected(replace(GOAL, monthly_contribution=Decimal(0), check_ins=HISTORY[:1]))
    assert unplanned.method is ProjectionMethod.CHECK_INS
    assert "This is little history" in unplanned.assumptions[0]


def test_nothing_comes_in_without_plan_and_history() -> None:
    found = projected(replace(GOAL, monthly_contribution=Decimal(0)))
    assert found.method is ProjectionMethod.NOTHING
    assert found.monthly == 0
    assert "nothing comes in" in found.assumptions[0]


@pytest.mark.parametrize(
    "goal",
    [
        replace(KNOWN, saved_amount=Decimal(6_000)),
        replace(KNOWN, saved_amount=Decimal(6_001), target_date=TODAY),
        replace(KNOWN, status=GoalStatus.REACHED),
    ],
)
def test_a_reached_goal_is_certain(goal: GoalFacts) -> None:
    simulator = Foreseen()
    found = project(simulator, goal, TODAY)
    assert simulator.asked == []
    assert found.method is ProjectionMethod.REACHED
    assert (found.probability_on_track, found.p95_date) == (Decimal(1), TODAY)
    assert set(found.contribution_for.values()) == {Decimal(0)}


@pytest.mark.parametrize("days", [0, 10])
def test_a_target_date_that_has_passed_cannot_be_met(days: int) -> None:
    found = projected(replace(KNOWN, target_date=TODAY - timedelta(days=days)))
    assert found.probability_on_track == 0
    assert set(found.contribution_for.values()) == {None}
    assert found.p50_date == LATER
    assert any("has passed" in sentence for sentence in found.assumptions)


def test_dates_beyond_the_horizon_are_none_and_said() -> None:
    found = projected(KNOWN, by=None)
    assert (found.p50_date, found.interval.latest) == (None, None)
    assert any("more than 360 months ahead" in sentence for sentence in found.assumptions)
    assert not any("360" in sentence for sentence in projected(KNOWN).assumptions)


def test_no_date_lies_before_today() -> None:
    assert projected(KNOWN, by=date(2026, 11, 5)).p50_date == TODAY


def test_a_paused_goal_is_projected_as_if_saving_went_on() -> None:
    found = projected(replace(KNOWN, status=GoalStatus.PAUSED))
    assert "The goal is paused: this is what follows if saving goes on." in found.assumptions


def test_months_are_drawn_from_the_last_check_in_on_but_not_for_long() -> None:
    assert start_of(KNOWN, TODAY) == date(2026, 11, 1)
    assert start_of(KNOWN, date(2027, 12, 31)) == date(2027, 12, 31) - timedelta(days=92)
    assert start_of(GOAL, TODAY) == TODAY
    assert start_of(replace(KNOWN, saved_amount=Decimal(2_500)), TODAY) == TODAY


def test_a_debt_bears_interest_and_no_market() -> None:
    debt = replace(KNOWN, type=GoalType.DEBT_PAYOFF, annual_interest_rate=Decimal("0.18"))
    asked = scenario(debt, returns=[0.01])
    assert (asked.owes, asked.annual_interest_rate, asked.market) == (True, Decimal("0.18"), None)
    assert (
        "What is owed grows by a twelfth of 18 percent each month." in projected(debt).assumptions
    )
    savings = replace(KNOWN, annual_interest_rate=Decimal("0.18"))
    assert scenario(savings).annual_interest_rate == 0


def test_invested_goals_have_a_market_with_a_stated_default() -> None:
    invested = replace(KNOWN, type=GoalType.INVESTMENT)
    assert scenario(KNOWN).market is None
    assert scenario(invested).market == scenario(KNOWN, returns=()).market
    assert any("as no series is linked" in said for said in projected(invested).assumptions)
    told = project(Foreseen(), invested, TODAY, returns=[0.01, -0.02, 0.03])
    assert any("by 3 months of the linked series" in said for said in told.assumptions)


def test_another_average_month_changes_that_and_nothing_else() -> None:
    simulator = Foreseen()
    found = project(simulator, KNOWN, TODAY, monthly=Decimal(500))
    assert found.monthly == 500
    assert simulator.asked[0] == replace(scenario(KNOWN), monthly=Decimal(500))
    assert any("is taken to be 500.00 EUR" in sentence for sentence in found.assumptions)


def test_the_seed_is_what_happened_and_not_what_is_wanted() -> None:
    seed = seed_of(KNOWN, ())
    assert seed == 259502007368322
    other = replace(KNOWN, target_amount=Decimal(9), target_date=TODAY)
    assert seed_of(replace(other, monthly_contribution=Decimal(1)), ()) == seed
    assert seed_of(replace(KNOWN, starting_amount=Decimal("0.00")), ()) == seed
    assert seed_of(KNOWN, (0.01,)) != seed
    assert seed_of(replace(KNOWN, check_ins=HISTORY[1:]), ()) != seed
    assert seed_of(replace(KNOWN, starting_amount=Decimal(1)), ()) != seed
