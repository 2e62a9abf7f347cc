"""One monthly budget over several goals: who gets how much, why, and what cannot be had together.

Goals are served in order: priority first, then the earlier target date; goals of one priority and
date fill up evenly, as water does, to the same level. The earlier date comes first because money
that it frees when it is reached is there for the later one; sharing evenly would miss both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Final
from uuid import UUID

from domain.errors import InvalidInput
from domain.goals.facts import GoalFacts, GoalPriority, GoalStatus
from domain.goals.money import BEYOND, rounded_down, rounded_up, unit_of, words
from domain.goals.months import Stretch, month_end, stretches
from domain.goals.progress import left_of, required_monthly

_NOTHING = Decimal(0)
_EXACT = Decimal("1e-9")  # past it are only the ends of endless fractions
_RANKS: Final = {GoalPriority.HIGH: 0, GoalPriority.MEDIUM: 1, GoalPriority.LOW: 2}


@dataclass(frozen=True, slots=True)
class Share:
    """What one goal needs a month and gets of the budget.

    `reached` says whether splitting every month's budget so gets it there by its date; if not,
    `short` is what is missing on that day.
    """

    goal_id: UUID
    needed: Decimal
    amount: Decimal
    reached: bool
    short: Decimal
    reason: str

    @property
    def missing(self) -> Decimal:
        """How much less a month it gets than it needs."""
        return self.needed - self.amount


@dataclass(frozen=True, slots=True)
class BudgetSplit:
    """A month's budget split over goals, in the order in which they are served."""

    budget: Decimal
    currency: str | None
    shares: tuple[Share, ...]

    @property
    def spent(self) -> Decimal:
        """What all goals get together."""
        return sum((one.amount for one in self.shares), _NOTHING)

    @property
    def left(self) -> Decimal:
        """What no goal needs."""
        return self.budget - self.spent

    @property
    def unreachable(self) -> tuple[Share, ...]:
        """The goals that this budget does not reach by their dates."""
        return tuple(one for one in self.shares if not one.reached)

    @property
    def short(self) -> Decimal:
        """What is missing on the goals' dates, all together."""
        return sum((one.short for one in self.shares), _NOTHING)


@dataclass(frozen=True, slots=True)
class _Want:
    """A goal in line: what it needs a month, and what it should still lack after each stretch."""

    goal_id: UUID
    goal: GoalFacts
    needed: Decimal
    parts: tuple[Stretch, ...]
    path: tuple[Decimal, ...]

    @property
    def overdue(self) -> bool:
        return not self.parts

    @property
    def rank(self) -> tuple[int, date]:
        return _RANKS[self.goal.priority], self.goal.target_date


def split_budget(
    goals: Sequence[tuple[UUID, GoalFacts]], monthly_budget: Decimal, today: date
) -> BudgetSplit:
    """The budget split over the active goals that are not reached; raises InvalidInput for mixed currencies.

    No goal gets more than it needs. An overdue goal needs all that it lacks at once.
    """
    wants = _in_line(goals, today)
    if not wants:
        return BudgetSplit(monthly_budget, None, ())
    currency = wants[0].goal.currency
    budget = rounded_down(max(monthly_budget, _NOTHING), currency)
    amounts = _poured(wants, [want.needed for want in wants], budget, currency)
    lacks = _lacks(wants, budget, today)
    return BudgetSplit(
        budget,
        currency,
        tuple(
            Share(
                want.goal_id,
                want.needed,
                amount,
                not lack,
                lack,
                _reason(want, amount, lack),
            )
            for want, amount, lack in zip(wants, amounts, lacks, strict=True)
        ),
    )


def budget_needed(goals: Sequence[tuple[UUID, GoalFacts]], today: date) -> Decimal:
    """The smallest monthly budget that reaches all active goals that are not overdue."""
    wants = [want for want in _in_line(goals, today) if not want.overdue]
    if not wants:
        return _NOTHING
    unit = unit_of(wants[0].goal.currency)
    low, high = -1, int(sum((want.needed for want in wants), _NOTHING) / unit)
    while high - low > 1:
        middle = (low + high) // 2
        enough = not any(_lacks(wants, middle * unit, today))
        low, high = (low, middle) if enough else (middle, high)
    return high * unit


def _in_line(goals: Sequence[tuple[UUID, GoalFacts]], today: date) -> list[_Want]:
    """The active goals that lack something, in the order in which they are served."""
    wants = [
        _want(goal_id, goal, today)
        for goal_id, goal in goals
        if goal.status is GoalStatus.ACTIVE and left_of(goal)
    ]
    if len({want.goal.currency for want in wants}) > 1:
        raise InvalidInput(field="goals", reason="must be in one currency to share a budget")
    return sorted(wants, key=lambda want: (want.rank, want.needed, want.goal_id))


def _want(goal_id: UUID, goal: GoalFacts, today: date) -> _Want:
    needed = required_monthly(goal, today)
    if needed is None:
        return _Want(goal_id, goal, left_of(goal), (), ())
    parts = tuple(stretches(today, goal.target_date))
    left, path = left_of(goal), []
    for part in parts:
        left = max(_grown(goal, left, part) - needed * part.days / part.of, _NOTHING)
        path.append(left)
    return _Want(goal_id, goal, needed, parts, tuple(path))


def _grown(goal: GoalFacts, left: Decimal, part: Stretch) -> Decimal:
    """What is left with a stretch's interest."""
    rate = goal.annual_interest_rate
    return min(left + left * rate * part.days / (12 * part.of), BEYOND) if rate else left


def _poured(
    wants: Sequence[_Want], needs: Sequence[Decimal], purse: Decimal, currency: str | None
) -> list[Decimal]:
    """What each want gets of a purse: rank after rank, evenly within a rank, nobody more than needed.

    In whole cents of a currency; a cent that cannot be halved goes to who needs more.
    """
    got = [_NOTHING] * len(wants)
    for _, rank in groupby(range(len(wants)), key=lambda at: wants[at].rank):
        thirsty = sorted(rank, key=lambda at: needs[at])
        for filled, at in enumerate(thirsty):
            level = purse / (len(thirsty) - filled)
            got[at] = min(needs[at], rounded_down(level, currency) if currency else level)
            purse -= got[at]
    return got


def _lacks(wants: Sequence[_Want], budget: Decimal, today: date) -> list[Decimal]:
    """What each goal misses on its date, if each month's budget is split by the same rule.

    In a month, a goal needs what brings it back on its path; one that is reached leaves its share to
    the others. Of a part of a month, there is as much of the budget as of its days.
    """
    left = [left_of(want.goal) for want in wants]
    if not any(want.parts for want in wants):
        return left
    last = max(want.goal.target_date for want in wants)
    for number, month in enumerate(stretches(today, month_end(last))):
        purse, needs = budget * month.days / month.of, []
        for at, want in enumerate(wants):
            if number < len(want.parts):
                part = want.parts[number]
                left[at] = _grown(want.goal, left[at], part)
                by_then = purse * part.days / month.days
                needs.append(min(max(left[at] - want.path[number], _NOTHING), by_then))
            else:
                needs.append(left[at] if want.overdue else _NOTHING)
        for at, paid in enumerate(_poured(wants, needs, purse, None)):
            left[at] -= paid
    return [_lack(want, rest) for want, rest in zip(wants, left, strict=True)]


def _lack(want: _Want, left: Decimal) -> Decimal:
    if want.overdue:
        return left_of(want.goal)
    return rounded_up((left - want.path[-1]).quantize(_EXACT), want.goal.currency)


def _reason(want: _Want, amount: Decimal, lack: Decimal) -> str:
    goal = want.goal

    def told(value: Decimal) -> str:
        return words(value, goal.currency)

    if want.overdue:
        return (
            f"Its date, {goal.target_date}, has come: {told(want.needed)} are missing at once, of "
            f"which this month's budget has {told(amount)}. Give it another date."
        )
    place = f"{goal.priority.value.capitalize()} priority, until {goal.target_date}"
    if amount == want.needed:
        return f"{place}: gets the {told(amount)} a month that it needs." + _missed(goal, lack)
    if not lack:
        return (
            f"{place}: gets {told(amount)} of the {told(want.needed)} a month that it needs, and "
            "catches up when goals before it are reached."
        )
    return (
        f"{place}: gets {told(amount)} of the {told(want.needed)} a month that it needs, because "
        f"the budget goes to higher priorities and earlier dates first.{_missed(goal, lack)}"
    )


def _missed(goal: GoalFacts, lack: Decimal) -> str:
    if not lack:
        return ""
    return f" {words(lack, goal.currency)} will be missing on {goal.target_date}."
