"""How far a goal is, and how far it should be: exact, and a straight line where a plan is meant.

A debt is a goal whose target is what was owed and whose saved amount is what of it is paid off: what
is left is what is owed now, and grows by a twelfth of its annual rate each month.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import Enum
from itertools import pairwise
from typing import Final

from domain.goals.facts import GoalFacts
from domain.goals.money import BEYOND, rounded, unit_of
from domain.goals.months import (
    Stretch,
    endless,
    months_later,
    months_of,
    stretches,
)

PACE_MONTHS: Final = 6
ROBUST_MONTHS: Final = 4
LONGEST_PROJECTION_MONTHS: Final = 1200
MILESTONES: Final = (25, 50, 75, 100)
_HUNDREDTH = Decimal("0.01")
_NOTHING = Decimal(0)


class PaceSource(Enum):
    """Where a pace is known from."""

    HISTORY = "HISTORY"
    PLAN = "PLAN"


@dataclass(frozen=True, slots=True)
class Pace:
    """What goes into a goal a month: told by `months` months of check-ins, or planned if there are none."""

    monthly: Decimal
    source: PaceSource
    months: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a goal stands on a day; `ahead` and `days_ahead` are negative when it is behind.

    `required_monthly` is None once the target date has come, `projected_date` when the pace never
    gets there (within a hundred years).
    """

    saved: Decimal
    left: Decimal
    percent: Decimal
    expected: Decimal
    ahead: Decimal
    days_ahead: int
    required_monthly: Decimal | None
    pace: Pace
    projected_date: date | None


def progress_of(goal: GoalFacts, today: date) -> Progress:
    """All numbers of a goal as of a day."""
    pace = pace_of(goal, today)
    return Progress(
        saved=goal.saved_amount,
        left=left_of(goal),
        percent=percent_of(goal),
        expected=expected_by(goal, today),
        ahead=goal.saved_amount - expected_by(goal, today),
        days_ahead=days_ahead(goal, today),
        required_monthly=required_monthly(goal, today),
        pace=pace,
        projected_date=projected_date(goal, pace.monthly, today),
    )


def left_of(goal: GoalFacts) -> Decimal:
    """What is still to be saved or paid off."""
    return max(goal.target_amount - goal.saved_amount, _NOTHING)


def percent_of(goal: GoalFacts) -> Decimal:
    """Saved out of the target, from 0 to 100, rounded down: 100 is all of it."""
    share = goal.saved_amount * 100 / goal.target_amount
    return min(max(share, _NOTHING), Decimal(100)).quantize(_HUNDREDTH, ROUND_DOWN)


def milestones_passed(before: Decimal, now: Decimal) -> tuple[int, ...]:
    """The milestones between two percentages, of 25, 50, 75 and 100."""
    return tuple(milestone for milestone in MILESTONES if before < milestone <= now)


def expected_by(goal: GoalFacts, day: date) -> Decimal:
    """What should be saved by a day: a straight line by days from the start to the target date."""
    total = _days_of(goal)
    gone = min(max((day - goal.started_on).days, 0), total)
    way = goal.target_amount - goal.starting_amount
    return goal.starting_amount + rounded(way * gone / total, goal.currency)


def days_ahead(goal: GoalFacts, today: date) -> int:
    """Whole days between today and the day that the line expects what is saved; behind is negative.

    Nobody is further ahead than the target date.
    """
    way = goal.target_amount - goal.starting_amount
    if way <= 0:
        return 0
    made = min(goal.saved_amount, goal.target_amount) - goal.starting_amount
    total = _days_of(goal)
    gone = min(max((today - goal.started_on).days, 0), total)
    return int(made * total / way - gone)


def _days_of(goal: GoalFacts) -> int:
    return max((goal.target_date - goal.started_on).days, 1)


def required_monthly(goal: GoalFacts, today: date) -> Decimal | None:
    """The smallest contribution a month that reaches the target by its date; None from that date on.

    It is paid at the end of each month; of a month that is not whole, its share by days is paid.
    """
    parts = stretches(today, goal.target_date)
    left = left_of(goal)
    if not left:
        return _NOTHING
    return smallest_monthly(goal, left, parts) if parts else None


def smallest_monthly(goal: GoalFacts, left: Decimal, parts: list[Stretch]) -> Decimal:
    """The smallest amount a month, in whole cents, that leaves nothing after the stretches."""
    unit = unit_of(goal.currency)

    def reaches(cents: int) -> bool:
        return not left_after(goal, left, cents * unit, parts)

    guess = int(_annuity(left, goal.annual_interest_rate, months_of(parts)) / unit)
    low, high, step = guess, guess, 1
    while low >= 0 and reaches(low):
        low, step = low - step, step * 2
    step = 1
    while not reaches(high):
        high, step = high + step, step * 2
    low = max(low, -1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return rounded(high * unit, goal.currency)


def _annuity(left: Decimal, annual_rate: Decimal | None, months: Decimal) -> Decimal:
    """What about is needed a month: exact but for parts of months and cents."""
    rate = (annual_rate or _NOTHING) / 12
    return left * rate / (1 - (1 + rate) ** -months) if rate else left / months


def left_after(goal: GoalFacts, left: Decimal, monthly: Decimal, parts: list[Stretch]) -> Decimal:
    """What is left after contributing through the stretches; 0 once it is reached."""
    for stretch in parts:
        left = step(goal, left, monthly, stretch)
        if not left:
            return left
    return left


def step(goal: GoalFacts, left: Decimal, monthly: Decimal, stretch: Stretch) -> Decimal:
    """What is left after one stretch: its interest added, its contribution taken off, to the cent."""
    yearly = left * (goal.annual_interest_rate or _NOTHING) - 12 * monthly
    change = yearly * stretch.days / (12 * stretch.of)
    return max(rounded(min(left + change, BEYOND), goal.currency), _NOTHING)


def projected_date(goal: GoalFacts, monthly: Decimal, today: date) -> date | None:
    """The first day by which contributing so much a month reaches the target; None if it never does.

    It is at most the target date exactly when `monthly` is at least the required contribution.
    """
    left = left_of(goal)
    if not left:
        return today
    if monthly <= left * (goal.annual_interest_rate or _NOTHING) / 12:
        return None
    for number, stretch in enumerate(endless(today)):
        after = step(goal, left, monthly, stretch)
        if not after:
            return _day_within(goal, left, monthly, stretch)
        if number >= LONGEST_PROJECTION_MONTHS or (stretch.whole and after >= left):
            return None
        left = after
    return None


def _day_within(goal: GoalFacts, left: Decimal, monthly: Decimal, stretch: Stretch) -> date:
    before = stretch.due - timedelta(days=stretch.days)
    days = next(
        days
        for days in range(1, stretch.days + 1)
        if not step(goal, left, monthly, Stretch(stretch.due, days, stretch.of))
    )
    return before + timedelta(days=days)


def pace_of(goal: GoalFacts, today: date) -> Pace:
    """The present pace: the average contribution of the last six months before the last check-in.

    What was saved between two check-ins counts evenly by days. From four months on, the highest and
    the lowest are left out, so that one windfall or one bad month does not decide. For a debt a
    month's interest is added to what came off it, for that was paid too. Without a month of history
    the planned contribution is the pace.
    """
    paid = sorted(_monthly_contributions(goal, today))
    if not paid:
        return Pace(goal.monthly_contribution, PaceSource.PLAN, 0)
    counted = paid[1:-1] if len(paid) >= ROBUST_MONTHS else paid
    average = sum(counted, _NOTHING) / len(counted)
    return Pace(rounded(average, goal.currency), PaceSource.HISTORY, len(paid))


def _monthly_contributions(goal: GoalFacts, today: date) -> list[Decimal]:
    """What was contributed in each of the last months, counted back from the last check-in."""
    points = {goal.started_on: goal.starting_amount}
    points |= {one.date: one.amount for one in goal.check_ins if one.date <= today}
    days = sorted(points)
    edges = [months_later(days[-1], -back) for back in range(PACE_MONTHS + 1)]
    totals = [_total_on(edge, days, points) for edge in edges if edge >= days[0]]
    rate = (goal.annual_interest_rate or _NOTHING) / 12
    return [
        after - before + max(goal.target_amount - before, _NOTHING) * rate
        for after, before in pairwise(totals)
    ]


def _total_on(day: date, days: list[date], points: dict[date, Decimal]) -> Decimal:
    """The total on a day, on a straight line between the points before and after it."""
    before = max(known for known in days if known <= day)
    after = min(known for known in days if known >= day)
    if before == after:
        return points[day]
    way = points[after] - points[before]
    return points[before] + way * (day - before).days / (after - before).days
