"""What a goal and a check-in must be, and how a goal may change."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Final, TypedDict, TypeVar

from domain.errors import InvalidInput, NoFieldsToUpdate, StaleVersion
from domain.goals.errors import (
    GoalClosed,
    GoalLimitReached,
    InvalidCheckInDate,
    InvalidGoalDate,
)
from domain.goals.facts import CheckInFact, GoalPriority, GoalStatus, GoalType
from domain.goals.money import check_amount, check_money
from domain.goals.months import months_later
from domain.texts import check_text

_Id = TypeVar("_Id")

RATE_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class GoalLimits:
    """How much of everything there may be; settings fill it in."""

    active_goals: int = 5
    name_length: int = 100
    reflection_length: int = 2000
    amount: Decimal = Decimal(10) ** 15
    annual_interest_rate: Decimal = Decimal(10)
    years_ahead: int = 80
    check_in_days_back: int = 365


@dataclass(frozen=True, slots=True)
class GoalTerms:
    """All of a goal that its owner says."""

    type: GoalType
    name: str
    target_amount: Decimal
    currency: str
    target_date: date
    priority: GoalPriority = GoalPriority.MEDIUM
    starting_amount: Decimal = Decimal(0)
    monthly_contribution: Decimal = Decimal(0)
    annual_interest_rate: Decimal | None = None


class GoalPatch(TypedDict, total=False):
    """Changes to a goal: what is missing stays. Its currency stays: its check-ins are in it."""

    type: GoalType
    name: str
    target_amount: Decimal
    target_date: date
    priority: GoalPriority
    starting_amount: Decimal
    monthly_contribution: Decimal
    annual_interest_rate: Decimal | None


CHANGES: Final[dict[GoalStatus, frozenset[GoalStatus]]] = {
    GoalStatus.ACTIVE: frozenset((GoalStatus.PAUSED, GoalStatus.REACHED, GoalStatus.ABANDONED)),
    GoalStatus.PAUSED: frozenset((GoalStatus.ACTIVE, GoalStatus.REACHED, GoalStatus.ABANDONED)),
    GoalStatus.REACHED: frozenset(),
    GoalStatus.ABANDONED: frozenset(),
}
"""What may become of a goal in each status; one that nothing may become of is closed."""


def checked(terms: GoalTerms, today: date, limits: GoalLimits) -> GoalTerms:
    """The terms of a new goal, trimmed; raises InvalidInput, InvalidAmount, InvalidGoalDate."""
    check_target_date(terms.target_date, today, limits)
    return _checked(terms, limits)


def revised(
    status: GoalStatus, terms: GoalTerms, patch: GoalPatch, today: date, limits: GoalLimits
) -> GoalTerms:
    """A goal's terms after a change; also raises GoalClosed, NoFieldsToUpdate.

    A date that is not changed need not be in the future: an overdue goal can still be renamed.
    """
    check_open(status)
    if not patch:
        raise NoFieldsToUpdate
    if "target_date" in patch:
        check_target_date(patch["target_date"], today, limits)
    return _checked(replace(terms, **patch), limits)


def _checked(terms: GoalTerms, limits: GoalLimits) -> GoalTerms:
    name, currency = terms.name.strip(), check_money("currency", terms.currency)
    check_text("name", name, 1, limits.name_length)

    def amount(field: str, value: Decimal, *, zero: bool = False) -> Decimal:
        return check_amount(field, value, currency, most=limits.amount, zero=zero)

    target = amount("targetAmount", terms.target_amount)
    starting = amount("startingAmount", terms.starting_amount, zero=True)
    if starting >= target:
        raise InvalidInput(field="startingAmount", reason="must be less than the target amount")
    if terms.annual_interest_rate is not None:
        _check_rate(terms, terms.annual_interest_rate, limits)
    return replace(
        terms,
        name=name,
        target_amount=target,
        starting_amount=starting,
        monthly_contribution=amount("monthlyContribution", terms.monthly_contribution, zero=True),
    )


def _check_rate(terms: GoalTerms, rate: Decimal, limits: GoalLimits) -> None:
    def refused(reason: str) -> InvalidInput:
        return InvalidInput(field="annualInterestRate", reason=reason)

    if terms.type is not GoalType.DEBT_PAYOFF:
        raise refused("is for debts only")
    if not rate.is_finite() or not 0 <= rate <= limits.annual_interest_rate:
        raise refused(f"must be between 0 and {limits.annual_interest_rate:f}; 0.18 is 18 percent")
    if rate != round(rate, RATE_DECIMALS):
        raise refused(f"must have at most {RATE_DECIMALS} decimals")


def check_target_date(target: date, today: date, limits: GoalLimits) -> None:
    """Raises InvalidGoalDate unless the date is in the future, and not too far."""
    if target <= today:
        raise InvalidGoalDate(date=target, reason="must be in the future")
    if target > months_later(today, 12 * limits.years_ahead):
        raise InvalidGoalDate(
            date=target, reason=f"must be within {limits.years_ahead} years from today"
        )


def check_room(active: int, limits: GoalLimits) -> None:
    """Raises GoalLimitReached unless one more goal may be active beside so many; for new and resumed ones."""
    if active >= limits.active_goals:
        raise GoalLimitReached(current_count=active, max_count=limits.active_goals)


def check_version(expected: int, actual: int) -> None:
    """Raises StaleVersion unless the caller read the goal as it is."""
    if expected != actual:
        raise StaleVersion(expected=expected, actual=actual)


def is_closed(status: GoalStatus) -> bool:
    """Whether a goal does not change any more."""
    return not CHANGES[status]


def check_open(status: GoalStatus) -> None:
    """Raises GoalClosed for a goal that does not change any more."""
    if is_closed(status):
        raise GoalClosed(status=status)


def changed_status(now: GoalStatus, wanted: GoalStatus) -> GoalStatus:
    """The status after its owner's wish; raises GoalClosed. Pausing a paused goal changes nothing."""
    check_open(now)
    return wanted if wanted in CHANGES[now] else now


def status_after(now: GoalStatus, saved: Decimal, target: Decimal) -> GoalStatus:
    """The status once so much is saved: an open goal with all of its target is reached."""
    return GoalStatus.REACHED if not is_closed(now) and saved >= target else now


def no_longer_primary(primary: Collection[_Id], chosen: _Id, status: GoalStatus) -> frozenset[_Id]:
    """Which of the goals now primary stop being it when an open one is chosen; raises GoalClosed."""
    check_open(status)
    return frozenset(primary) - {chosen}


def stays_primary(primary: bool, status: GoalStatus) -> bool:
    """Whether a goal is still the primary one in its new status: a closed goal is not."""
    return primary and not is_closed(status)


def checked_check_in(
    check_in: CheckInFact, status: GoalStatus, currency: str, today: date, limits: GoalLimits
) -> CheckInFact:
    """The check-in as it is kept; raises GoalClosed, InvalidCheckInDate, InvalidAmount."""
    check_open(status)
    day = check_in.date
    if day > today:
        raise InvalidCheckInDate(date=day, reason="must not be in the future")
    if day < today - timedelta(days=limits.check_in_days_back):
        raise InvalidCheckInDate(
            date=day, reason=f"must be at most {limits.check_in_days_back} days back"
        )
    amount = check_amount("amount", check_in.amount, currency, most=limits.amount, zero=True)
    return replace(check_in, amount=amount)


def with_check_in(
    check_ins: Sequence[CheckInFact], new: CheckInFact
) -> tuple[tuple[CheckInFact, ...], CheckInFact | None]:
    """The check-ins with a new one, oldest first, and the one of the same day that it corrects."""
    corrected = next((old for old in check_ins if old.date == new.date), None)
    kept = [old for old in check_ins if old is not corrected]
    return tuple(sorted((*kept, new), key=lambda one: one.date)), corrected


class StreakPeriod(Enum):
    """What a streak counts."""

    WEEK = "WEEK"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True)
class Streak:
    """Weeks or months in a row with a check-in: up to now, and the most there ever were."""

    period: StreakPeriod
    current: int
    longest: int


def streak(days: Iterable[date], today: date, period: StreakPeriod) -> Streak:
    """How many periods in a row have a check-in, one or several.

    Weeks begin on Monday. The running period counts once it has a check-in, and until it is over
    its lack of one breaks nothing: the current streak then ends with the period before.
    """
    having = sorted({_number(day, period) for day in days if day <= today})
    longest = run = 0
    for at, number in enumerate(having):
        run = run + 1 if at and having[at - 1] == number - 1 else 1
        longest = max(longest, run)
    lives = bool(having) and having[-1] >= _number(today, period) - 1
    return Streak(period, run if lives else 0, longest)


def _number(day: date, period: StreakPeriod) -> int:
    """Consecutive periods have consecutive numbers; day 1 of the calendar was a Monday."""
    if period is StreakPeriod.WEEK:
        return (day.toordinal() - 1) // 7
    return day.year * 12 + day.month
