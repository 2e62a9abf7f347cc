from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.goals.budget import BudgetSplit, budget_needed, split_budget
from domain.goals.facts import GoalFacts, GoalPriority, GoalStatus, GoalType
from domain.goals.progress import left_of, required_monthly
from tests.domain.goals.samples import TODAY, cents, goal, goals, lines

OCTOBER = date(2026, 10, 31)
SOON = goal(target_amount=Decimal(1800), saved_amount=Decimal(0), target_date=date(2027, 4, 30))
LATE = replace(SOON, target_amount=Decimal(7200), target_date=date(2028, 10, 31))
RANKS = [GoalPriority.HIGH, GoalPriority.MEDIUM, GoalPriority.LOW]

budgets = cents(0, 10**8)


def split(*found: GoalFacts, budget: int | Decimal, today: date = OCTOBER) -> BudgetSplit:
    named = [(UUID(int=number), one) for number, one in enumerate(found)]
    return split_budget(named, Decimal(budget), today)


def amounts(made: BudgetSplit) -> dict[UUID, Decimal]:
    return {one.goal_id: one.amount for one in made.shares}


Line = list[tuple[UUID, GoalFacts]]


@given(lines, budgets)
def test_no_more_is_spent_than_there_is_and_no_goal_gets_more_than_it_needs(
    line: Line, budget: Decimal
) -> None:
    made = split_budget(line, budget, TODAY)
    assert made.spent + made.left == budget
    assert made.left >= 0
    facts = dict(line)
    for share in made.shares:
        assert share.needed == required_monthly(facts[share.goal_id], TODAY)
        assert 0 <= share.amount <= share.needed
        assert share.amount == share.amount.quantize(Decimal("0.01"))
    assert not made.left or all(share.amount == share.needed for share in made.shares)


@given(lines, budgets)
def test_nobody_gets_anything_before_a_higher_priority_has_what_it_needs(
    line: Line, budget: Decimal
) -> None:
    facts = dict(line)
    shares = split_budget(line, budget, TODAY).shares
    for first in shares:
        for second in shares:
            one, other = facts[first.goal_id], facts[second.goal_id]
            higher = RANKS.index(one.priority) < RANKS.index(other.priority)
            sooner = one.priority is other.priority and one.target_date < other.target_date
            assert not ((higher or sooner) and first.missing and second.amount)


@given(lines, budgets, cents(1, 10**7))
def test_more_budget_takes_nothing_from_anybody(line: Line, budget: Decimal, more: Decimal) -> None:
    before, after = split_budget(line, budget, TODAY), split_budget(line, budget + more, TODAY)
    for less, richer in zip(before.shares, after.shares, strict=True):
        assert richer.goal_id == less.goal_id
        assert richer.amount >= less.amount
        assert richer.short <= less.short


@given(lines.flatmap(lambda line: st.tuples(st.just(line), st.permutations(line))), budgets)
def test_the_order_in_which_goals_are_told_does_not_matter(
    lines: tuple[Line, Line], budget: Decimal
) -> None:
    assert split_budget(lines[0], budget, TODAY) == split_budget(lines[1], budget, TODAY)


@given(
    st.lists(goals(priority=GoalPriority.LOW, target_date=date(2027, 3, 3)), max_size=5), cents()
)
def test_goals_of_one_priority_and_date_fill_up_to_one_level(
    found: list[GoalFacts], budget: Decimal
) -> None:
    made = split(*found, budget=budget, today=TODAY)
    thirsty = [one.amount for one in made.shares if one.missing]
    if thirsty:
        assert max(thirsty) - min(thirsty) <= Decimal("0.01")
        assert all(one.amount <= max(thirsty) for one in made.shares)


@settings(max_examples=30)
@given(lines)
def test_the_budget_needed_reaches_all_and_a_cent_less_does_not(line: Line) -> None:
    line = [
        (one_id, replace(one, target_date=min(one.target_date, date(2028, 6, 6))))
        for one_id, one in line
    ]
    needed = budget_needed(line, TODAY)
    assert not split_budget(line, needed, TODAY).unreachable
    if needed:
        assert split_budget(line, needed - Decimal("0.01"), TODAY).unreachable
    assert needed <= sum((required_monthly(one, TODAY) or Decimal(0)) for _, one in line)


@given(goals(), st.integers(0, 99))
def test_one_goal_alone_lacks_what_its_share_leaves(one: GoalFacts, percent: int) -> None:
    required = required_monthly(one, TODAY)
    assert required is not None
    made = split(one, budget=(required * percent / 100).quantize(Decimal("0.01")), today=TODAY)
    for share in made.shares:
        assert share.reached == (not share.short)
        assert share.reached == (share.amount == share.needed)
        assert one.type is GoalType.DEBT_PAYOFF or share.short <= left_of(one)


def test_money_that_an_earlier_date_frees_reaches_the_later_one() -> None:
    made = split(SOON, LATE, budget=400)
    assert [one.needed for one in made.shares] == [300, 300]
    assert [one.amount for one in made.shares] == [300, 100]
    assert not made.unreachable
    assert budget_needed([(UUID(int=0), SOON), (UUID(int=1), LATE)], OCTOBER) == 375
    assert "catches up when goals before it are reached" in made.shares[1].reason


def test_what_cannot_be_had_together_is_told_with_what_is_missing() -> None:
    made = split(SOON, LATE, budget=350)
    assert [one.goal_id for one in made.unreachable] == [UUID(int=1)]
    assert made.short == 600  # 24 months of 350 are 8,400 of 9,000
    assert "600.00 EUR will be missing on 2028-10-31" in made.shares[1].reason
    assert not split(SOON, budget=350).unreachable
    assert not split(LATE, budget=350).unreachable


def test_a_higher_priority_comes_first_even_with_a_later_date() -> None:
    urgent = replace(LATE, priority=GoalPriority.HIGH)
    made = split(SOON, urgent, budget=400)
    assert amounts(made) == {UUID(int=1): 300, UUID(int=0): 100}
    assert made.shares[0].reason == (
        "High priority, until 2028-10-31: gets the 300.00 EUR a month that it needs."
    )
    assert made.unreachable[0].short == 1200


def test_a_cent_that_cannot_be_shared_goes_to_one() -> None:
    made = split(SOON, SOON, SOON, budget=Decimal("100.01"))
    assert sorted(one.amount for one in made.shares) == [
        Decimal("33.33"),
        Decimal("33.34"),
        Decimal("33.34"),
    ]


def test_only_active_goals_that_lack_something_share() -> None:
    for out in (
        replace(SOON, status=GoalStatus.PAUSED),
        replace(SOON, status=GoalStatus.REACHED),
        replace(SOON, saved_amount=SOON.target_amount),
    ):
        assert amounts(split(out, LATE, budget=400)) == {UUID(int=1): 300}
    assert split(budget=400).left == 400


def test_a_goal_due_within_a_month_has_only_the_days_until_then() -> None:
    half = replace(SOON, target_amount=Decimal(100), target_date=date(2026, 11, 15))
    made = split(half, budget=200)
    assert [(one.needed, one.amount, one.short) for one in made.shares] == [(200, 200, 0)]
    assert split(half, budget=150).short == 25


def test_an_overdue_goal_needs_all_at_once_and_is_told_to_take_another_date() -> None:
    late = replace(SOON, target_date=OCTOBER)
    made = split(late, LATE, budget=2000)
    assert amounts(made) == {UUID(int=0): 1800, UUID(int=1): 200}
    assert made.unreachable == (made.shares[0],)
    assert "Give it another date" in made.shares[0].reason
    drained = split(late, SOON, budget=300)
    assert [one.short for one in drained.shares] == [1800, 1800]  # six months for the first alone
    assert budget_needed([(UUID(int=0), late), (UUID(int=1), LATE)], OCTOBER) == 300
    assert budget_needed([(UUID(int=0), late)], OCTOBER) == 0


def test_a_debt_grows_while_others_come_first() -> None:
    debt = replace(
        SOON,
        type=GoalType.DEBT_PAYOFF,
        target_amount=Decimal(1000),
        annual_interest_rate=Decimal("0.12"),
        target_date=date(2026, 12, 31),
    )
    assert split(debt, budget=0).short == Decimal("1020.10")
    forever = replace(debt, annual_interest_rate=Decimal(10), target_date=date(2106, 1, 1))
    assert split(forever, budget=0).short > 10**15


def test_currencies_are_not_mixed() -> None:
    with pytest.raises(InvalidInput):
        split(SOON, replace(LATE, currency="USD"), budget=400)
