"""The rules that make steps: each says what to do, until when, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from domain.goals.facts import GoalFacts, GoalType
from domain.goals.money import rounded, rounded_down, rounded_up, words
from domain.goals.months import endless
from domain.goals.plans.facts import (
    DebtSchedule,
    PayoffOrder,
    PlanStep,
    ProfileFacts,
    RiskTolerance,
    StepKind,
)
from domain.goals.progress import MILESTONES, left_of, pace_of, projected_date, required_monthly

TRIMMED_SHARE: Final = Decimal("0.20")
"""How much of the variable spending a plan asks to do without at most."""

BASE_MONTHS: Final = 3
"""Months of spending that anybody should have put by; more for dependants and for little risk."""
MOST_DEPENDANTS_COUNTED: Final = 3
MOST_MONTH_STEPS: Final = 12

SHARES: Final[tuple[tuple[int, dict[RiskTolerance, int]], ...]] = (
    (3, {RiskTolerance.LOW: 0, RiskTolerance.MEDIUM: 0, RiskTolerance.HIGH: 0}),
    (7, {RiskTolerance.LOW: 20, RiskTolerance.MEDIUM: 30, RiskTolerance.HIGH: 40}),
    (15, {RiskTolerance.LOW: 30, RiskTolerance.MEDIUM: 50, RiskTolerance.HIGH: 70}),
    (1000, {RiskTolerance.LOW: 40, RiskTolerance.MEDIUM: 60, RiskTolerance.HIGH: 80}),
)
"""Percent in what may lose value, for goals that are fewer than so many years away."""

_INVESTED = frozenset((GoalType.INVESTMENT, GoalType.RETIREMENT, GoalType.EDUCATION))
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Means:
    """What a goal needs a month and what its owner can give: income less spending, and `trimmed`."""

    needed: Decimal
    free: Decimal | None
    trimmed: Decimal
    monthly: Decimal


def means_of(goal: GoalFacts, profile: ProfileFacts | None, today: date) -> Means:
    """What is needed and given a month; without a profile, what is needed is given.

    An overdue goal goes on at its pace.
    """
    needed = required_monthly(goal, today)
    if needed is None:
        needed = max(pace_of(goal, today).monthly, _NOTHING)
    if profile is None:
        return Means(needed, None, _NOTHING, needed)
    most = rounded_down(profile.variable_spending * TRIMMED_SHARE, goal.currency)
    trimmed = min(max(needed - profile.free, _NOTHING), most)
    given = max(min(needed, profile.free + trimmed), _NOTHING)
    return Means(needed, profile.free, trimmed, rounded_down(given, goal.currency))


def afford(goal: GoalFacts, means: Means, today: date) -> Iterator[PlanStep]:
    """Spend less, if what is free does not do; give the goal another date, if that does not either."""
    first = _month_end(today)
    if means.trimmed and means.free is not None:
        yield PlanStep(
            StepKind.TRIM_SPENDING,
            0,
            means.trimmed,
            first,
            f"The goal needs {words(means.needed, goal.currency)} a month and "
            f"{words(max(means.free, _NOTHING), goal.currency)} of your income is free: spend "
            f"{words(means.trimmed, goal.currency)} a month less on what varies.",
        )
    if means.monthly < means.needed or goal.target_date <= today:
        yield PlanStep(StepKind.MOVE_DATE, 0, None, first, _why_move(goal, means.monthly, today))


def _why_move(goal: GoalFacts, monthly: Decimal, today: date) -> str:
    come = goal.target_date <= today
    reason = "The target date has come." if come else f"{goal.target_date} is out of reach."
    reached = projected_date(goal, monthly, today)
    if reached is None:
        why = "its interest is more" if goal.annual_interest_rate else "lower the target"
        return f"{reason} {words(monthly, goal.currency)} a month never gets there: {why}."
    return f"{reason} With {words(monthly, goal.currency)} a month it is reached on {reached}: take that date."


def buffer(goal: GoalFacts, profile: ProfileFacts, today: date) -> Iterator[PlanStep]:
    """Before anything else, a month of spending for bad days; two for who has dependants."""
    if goal.type is GoalType.EMERGENCY_FUND or profile.emergency_savings is None:
        return
    months = 2 if profile.dependants else 1
    missing = months * profile.spending - profile.emergency_savings
    if missing > 0:
        yield PlanStep(
            StepKind.KEEP_BUFFER,
            months,
            rounded_up(missing, goal.currency),
            _month_end(today),
            f"Keep {_months(months)} of spending, {words(months * profile.spending, goal.currency)}, "
            "for bad days first, so that they do not eat into the goal.",
        )


def set_aside(goal: GoalFacts, means: Means, today: date) -> Iterator[PlanStep]:
    """Put the contribution on a standing order, as long as one is needed."""
    if means.monthly and goal.target_date > today:
        more = means.monthly - goal.monthly_contribution
        than = (
            f"{words(more, goal.currency)} more than planned"
            if more > 0
            else f"{words(-more, goal.currency)} less than planned"
            if more < 0
            else "as planned"
        )
        yield PlanStep(
            StepKind.SET_ASIDE,
            0,
            means.monthly,
            _month_end(today),
            f"{words(left_of(goal), goal.currency)} are left until {goal.target_date}: "
            f"pay {words(means.monthly, goal.currency)} in at each month end, {than}.",
        )


def months_of_spending(
    goal: GoalFacts, profile: ProfileFacts, monthly: Decimal, today: date
) -> Iterator[PlanStep]:
    """An emergency fund grows by months of spending; how many it should hold depends on the household."""
    if not profile.spending:
        return
    for number in range(1, MOST_MONTH_STEPS + 1):
        amount = rounded_up(number * profile.spending, goal.currency)
        if amount > goal.target_amount:
            break
        if amount > goal.saved_amount:
            yield from _level(
                goal,
                StepKind.SAVE_MONTH,
                number,
                amount,
                monthly,
                today,
                f"{words(amount, goal.currency)} pay for {_months(number)} without income.",
            )
    months, why = advised_months(profile)
    advised = rounded_up(months * profile.spending, goal.currency)
    if advised > goal.target_amount:
        yield PlanStep(
            StepKind.RAISE_TARGET,
            months,
            advised,
            goal.target_date,
            f"{_months(months)} of spending are {words(advised, goal.currency)}: {why}.",
        )


def advised_months(profile: ProfileFacts) -> tuple[int, str]:
    """How many months of spending an emergency fund should hold, and why."""
    dependants = min(profile.dependants, MOST_DEPENDANTS_COUNTED)
    careful = int(profile.risk_tolerance is RiskTolerance.LOW)
    parts = [f"{BASE_MONTHS} for anybody"]
    if dependants:
        parts.append(f"{dependants} for dependants")
    if careful:
        parts.append("1 for little risk")
    return BASE_MONTHS + dependants + careful, ", ".join(parts)


def clear_debts(
    goal: GoalFacts, schedules: Sequence[DebtSchedule], monthly: Decimal
) -> Iterator[PlanStep]:
    """Pay debts off one after the other: the dearest first, which costs least."""
    by_order = {one.order: one for one in schedules}
    best = by_order.get(PayoffOrder.AVALANCHE)
    if best is None or not best.payments:
        return
    cleared = best.cleared()
    other = by_order.get(PayoffOrder.SNOWBALL)
    if len(cleared) > 1 and other is not None:
        yield PlanStep(
            StepKind.CHOOSE_ORDER,
            0,
            None,
            best.payments[0].due,
            f"Paying the dearest debt first costs {words(best.total_interest, goal.currency)} of "
            f"interest until {best.debt_free_on}; the smallest first, "
            f"{words(other.total_interest, goal.currency)} until {other.debt_free_on}.",
        )
    for number, last in enumerate(cleared, 1):
        yield PlanStep(
            StepKind.CLEAR_DEBT,
            number,
            sum((one.principal for one in best.payments if one.debt == last.debt), _NOTHING),
            last.due,
            f"With {words(monthly, goal.currency)} a month, {last.debt} is paid off by then; the last "
            f"payment is {words(last.paid, goal.currency)}.",
        )


def invest(
    goal: GoalFacts, profile: ProfileFacts, monthly: Decimal, today: date
) -> Iterator[PlanStep]:
    """Put so much into what may lose value as time and tolerance allow."""
    if goal.type not in _INVESTED or goal.target_date <= today or not monthly:
        return
    years = Decimal((goal.target_date - today).days) / Decimal("365.25")
    percent = next(shares for below, shares in SHARES if years < below)[profile.risk_tolerance]
    tolerance = profile.risk_tolerance.value.lower()
    yield PlanStep(
        StepKind.INVEST,
        percent,
        rounded(monthly * percent / 100, goal.currency),
        _month_end(today),
        f"With {years:.1f} years to go and {tolerance} risk tolerance, at most {percent} percent of "
        "each payment belong into what may lose value, such as shares; the rest into what does not.",
    )


def milestones(goal: GoalFacts, monthly: Decimal, today: date) -> Iterator[PlanStep]:
    """A quarter, a half, three quarters and all of the target."""
    for percent in MILESTONES:
        amount = rounded_up(goal.target_amount * percent / 100, goal.currency)
        if amount > goal.saved_amount:
            yield from _level(
                goal,
                StepKind.MILESTONE,
                percent,
                amount,
                monthly,
                today,
                f"{words(amount, goal.currency)} are {percent} percent of the target.",
            )


def check_in(today: date) -> Iterator[PlanStep]:
    """Say each month what is there, so that the numbers stay true."""
    yield PlanStep(
        StepKind.CHECK_IN,
        0,
        None,
        _month_end(today),
        "Check in at least once a month: pace and dates are computed from your check-ins.",
    )


def _level(
    goal: GoalFacts,
    kind: StepKind,
    number: int,
    amount: Decimal,
    monthly: Decimal,
    today: date,
    reason: str,
) -> Iterator[PlanStep]:
    """A total to reach, due when the contribution gets there; none if it never does."""
    due = projected_date(replace(goal, target_amount=amount), monthly, today)
    if due is not None:
        yield PlanStep(kind, number, amount, due, reason)


def _month_end(today: date) -> date:
    """The first month end after a day."""
    return next(endless(today)).due


def _months(number: int) -> str:
    return "1 month" if number == 1 else f"{number} months"
