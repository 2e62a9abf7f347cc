"""Goals to try rules on, and hypothesis strategies that draw them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from domain.goals.facts import CheckInFact, GoalFacts, GoalPriority, GoalStatus, GoalType

TODAY = date(2026, 11, 21)
GOAL = GoalFacts(
    type=GoalType.TRAVEL,
    target_amount=Decimal("6000.00"),
    currency="EUR",
    started_on=date(2026, 1, 1),
    target_date=date(2027, 6, 30),
    starting_amount=Decimal(0),
    monthly_contribution=Decimal(300),
    priority=GoalPriority.MEDIUM,
    status=GoalStatus.ACTIVE,
    saved_amount=Decimal("2400.00"),
)


def goal(**changes: Any) -> GoalFacts:
    """A goal that is usual but for the changes."""
    return replace(GOAL, **changes)


def check_ins(*totals: tuple[date, int]) -> tuple[CheckInFact, ...]:
    return tuple(CheckInFact(day, Decimal(total)) for day, total in totals)


def cents(least: int = 0, most: int = 10**9) -> st.SearchStrategy[Decimal]:
    return st.integers(least, most).map(lambda number: Decimal(number).scaleb(-2))


rates = st.integers(0, 9_999).map(lambda number: Decimal(number).scaleb(-4))
days = st.dates(date(2026, 1, 1), date(2029, 12, 31))


@st.composite
def goals(draw: st.DrawFn, *, debt: bool | None = None, **fixed: Any) -> GoalFacts:
    """Goals that are not overdue on TODAY, saving or paying off."""
    target = draw(cents(1))
    owes = draw(st.booleans()) if debt is None else debt
    drawn = {
        "type": GoalType.DEBT_PAYOFF if owes else GoalType.PURCHASE,
        "target_amount": target,
        "saved_amount": draw(cents(0, int(target * 100))),
        "started_on": draw(st.dates(date(2025, 1, 1), TODAY)),
        "target_date": TODAY + timedelta(days=draw(st.integers(1, 1000))),
        "priority": draw(st.sampled_from(GoalPriority)),
        "annual_interest_rate": draw(rates) if owes else None,
    }
    return goal(**(drawn | fixed))


lines = st.lists(goals(), max_size=4).map(
    lambda found: [(UUID(int=number), one) for number, one in enumerate(found)]
)


def shares_of_months(after: date, until: date) -> Iterator[Fraction]:
    """What part of each month lies between two days: counted day by day, as an oracle."""
    every = [after + timedelta(days=1 + gone) for gone in range((until - after).days)]
    for (year, month), found in groupby(every, key=lambda day: (day.year, day.month)):
        following = date(year + month // 12, month % 12 + 1, 1)
        yield Fraction(len(list(found)), (following - date(year, month, 1)).days)


def left_by_hand(one: GoalFacts, monthly: Decimal, until: date) -> Fraction:
    """What is left of a goal after contributing from TODAY to a day, in fractions, as an oracle."""
    left = Fraction(one.target_amount - one.saved_amount)
    rate = Fraction(one.annual_interest_rate or 0) / 12
    for share in shares_of_months(TODAY, until):
        after = left + (left * rate - Fraction(monthly)) * share
        left = Fraction((after * 100 + Fraction(1, 2)).__floor__(), 100)
        if left <= 0:
            return Fraction(0)
    return left
