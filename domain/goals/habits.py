"""What is known of how somebody saves, and of a market: averages with how sure they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from domain.goals.facts import CheckInFact, GoalFacts, GoalType
from domain.goals.months import stretches

SHORTEST_STRETCH_DAYS: Final = 25
MOST_STRETCHES: Final = 8
ENOUGH_STRETCHES: Final = 2
PLAN_SPREAD: Final = 0.4
PLAN_MONTHS: Final = 2.0
PLAN_FREEDOM: Final = 8
PLAN_MONTHS_BESIDE_HISTORY: Final = 0.25
PLAN_FREEDOM_BESIDE_HISTORY: Final = 1
PLAN_SPREAD_BESIDE_HISTORY: Final = 0.3
MARKET_GROWTH: Final = math.log(1.05) / 12
MARKET_SPREAD: Final = 0.045
MARKET_MONTHS: Final = 120.0
MARKET_FREEDOM: Final = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """A monthly quantity: its mean, its spread from month to month, and how well both are known.

    The mean is known as from `months` months (infinity: exactly), the spread with `freedom` degrees
    of freedom (None: exactly).
    """

    mean: float
    spread: float
    months: float = math.inf
    freedom: int | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """What was contributed a month, on average, over a stretch of so many months."""

    months: float
    monthly: float


def market_of(returns: Sequence[float]) -> Estimate:
    """What monthly log-returns tell, beside ten years of a market that grows 5 percent a year.

    A short series says much about how a market swings and next to nothing about where it goes.
    """
    count = len(returns)
    mean = math.fsum(returns) / count if count else 0.0
    squares = math.fsum((one - mean) ** 2 for one in returns)
    months = MARKET_MONTHS + count
    freedom = MARKET_FREEDOM + max(count - 1, 0)
    return Estimate(
        mean=(MARKET_MONTHS * MARKET_GROWTH + count * mean) / months,
        spread=math.sqrt((MARKET_FREEDOM * MARKET_SPREAD**2 + squares) / freedom),
        months=months,
        freedom=freedom,
    )


def habit_of(plan: float, paid: Sequence[Paid]) -> Estimate:
    """What past stretches and the plan tell of the months to come.

    With enough stretches they speak for themselves: the plan weighs a week beside them, so that even
    the shortest history keeps a spread. With fewer the plan weighs two months. Without a plan the
    stretches' own average stands in for it, and weighs nothing.
    """
    enough = len(paid) >= ENOUGH_STRETCHES
    weight = PLAN_MONTHS_BESIDE_HISTORY if enough else PLAN_MONTHS
    freedom = PLAN_FREEDOM_BESIDE_HISTORY if enough else PLAN_FREEDOM
    spread = PLAN_SPREAD_BESIDE_HISTORY if enough else PLAN_SPREAD
    known = math.fsum(one.months for one in paid)
    average = math.fsum(one.months * one.monthly for one in paid) / known if paid else plan
    borrowed = not plan and bool(paid)
    if borrowed:
        plan, weight = average, 0.0
    months = weight + known
    squares = freedom * (spread * plan) ** 2
    squares += math.fsum(one.months * (one.monthly - average) ** 2 for one in paid)
    squares += weight * known / months * (average - plan) ** 2
    freedom += len(paid) - borrowed  # the average was taken from the stretches themselves
    return Estimate(
        mean=(weight * plan + known * average) / months,
        spread=math.sqrt(squares / freedom),
        months=months,
        freedom=freedom,
    )


def paid_by(
    goal: GoalFacts, today: date, returns: Sequence[float], market: Estimate | None
) -> list[Paid]:
    """What was contributed between check-ins, in stretches of 25 days or more, oldest first.

    They are at most 12: in a short stretch the day of the month that money comes in on counts for as
    much as how much comes in, and nobody saves less evenly for that.

    Interest that a debt bore was paid too; what a market did to what was there was not contributed:
    `returns` are those of the whole months before today's, oldest first, and months before them did
    as the market does on average.
    """
    found: list[Paid] = []
    before = CheckInFact(goal.started_on, goal.starting_amount)
    past = [one for one in goal.check_ins if one.date <= today]
    span = (past[-1].date - goal.started_on).days if past else 0
    shortest = max(SHORTEST_STRETCH_DAYS, span / MOST_STRETCHES)
    for after in past:
        if (after.date - before.date).days < shortest:
            continue
        found.append(_paid(goal, before, after, today, returns, market))
        before = after
    return found


def _paid(
    goal: GoalFacts,
    before: CheckInFact,
    after: CheckInFact,
    today: date,
    returns: Sequence[float],
    market: Estimate | None,
) -> Paid:
    owes = goal.type is GoalType.DEBT_PAYOFF
    start, end = float(before.amount), float(after.amount)
    if owes:
        start, end = start - float(goal.target_amount), end - float(goal.target_amount)
    rate = float(goal.annual_interest_rate or 0) / 12 if owes else 0.0
    grown, weight, months = start, 0.0, 0.0
    for stretch in stretches(before.date, after.date):
        part = stretch.days / stretch.of
        growth = 1 + rate * part
        if market is not None:
            growth = math.exp(part * _return_of(stretch.due, today, returns, market))
        grown, weight = grown * growth, weight * growth + part
        months += part
    return Paid(months, (end - grown) / weight)


def _return_of(day: date, today: date, returns: Sequence[float], market: Estimate) -> float:
    back = (today.year - day.year) * 12 + today.month - day.month
    return returns[-back] if 0 < back <= len(returns) else market.mean
