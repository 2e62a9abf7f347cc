"""How likely a goal is reached, by when, and what would make it likelier: asked of a simulation."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Final, Protocol

from domain.goals.facts import GoalFacts, GoalStatus, GoalType
from domain.goals.habits import (
    ENOUGH_STRETCHES,
    MARKET_MONTHS,
    PLAN_MONTHS,
    PLAN_SPREAD,
    SHORTEST_STRETCH_DAYS,
    Estimate,
    Paid,
    habit_of,
    market_of,
    paid_by,
)
from domain.goals.money import rounded, words

PATHS: Final = 10_000
HORIZON_MONTHS: Final = 360
SILENCE_DAYS: Final = 92
CHANCES: Final = (Decimal("0.5"), Decimal("0.8"), Decimal("0.95"))
_LOW, _HIGH = Decimal("0.1"), Decimal("0.9")
_CERTAIN, _NEVER, _NOTHING = Decimal(1), Decimal(0), Decimal(0)


class ProjectionMethod(Enum):
    """What a projection rests on."""

    REACHED = "REACHED"
    """Nothing is open: the target is reached."""
    CHECK_INS = "CHECK_INS"
    """What was contributed between check-ins."""
    PLAN = "PLAN"
    """The planned contribution with a stated spread, as there are too few check-ins."""
    NOTHING = "NOTHING"
    """Nothing comes in: there is neither a plan nor a check-in."""


@dataclass(frozen=True, slots=True)
class CompletionInterval:
    """The dates between which `share` of all futures reach the target; None lies beyond the horizon."""

    share: Decimal
    earliest: date | None
    latest: date | None


@dataclass(frozen=True, slots=True)
class Projection:
    """How likely a goal is reached by its date, when it will be, and what would make it likelier.

    A date is that by which as many futures have reached the target; None when it lies beyond the
    horizon. `contribution_for` tells the average month that reaches the target in time in as many
    futures, rounded up to the cent; None once the target date has passed.
    """

    probability_on_track: Decimal
    p50_date: date | None
    p80_date: date | None
    p95_date: date | None
    interval: CompletionInterval
    contribution_for: Mapping[Decimal, Decimal | None]
    monthly: Decimal
    method: ProjectionMethod
    assumptions: tuple[str, ...]
    paths: int
    horizon_months: int
    seed: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated: from `start` on months that come in as `habit` tells, on average `monthly` each.

    What is saved grows with `market`, or what is owed by a twelfth of its annual rate a month.
    """

    start: date
    target_date: date
    target_amount: Decimal
    saved_amount: Decimal
    currency: str
    monthly: Decimal
    habit: Estimate
    market: Estimate | None
    owes: bool
    annual_interest_rate: Decimal
    seed: int
    paths: int = PATHS
    horizon_months: int = HORIZON_MONTHS


@dataclass(frozen=True, slots=True)
class Futures:
    """How many futures reach the target in time, by when, and what each would have needed for it."""

    probability: Decimal
    dates: Mapping[Decimal, date | None]
    contributions: Mapping[Decimal, Decimal]


class Simulator(Protocol):
    """Draws a goal's futures; equal scenarios give equal futures, on every machine."""

    def simulate(self, scenario: Scenario, shares: Sequence[Decimal]) -> Futures:
        """Dates by which `shares` of the futures reach the target, and contributions that do in time.

        Contributions are none when the target date is not after the start.
        """


def project(
    simulator: Simulator,
    goal: GoalFacts,
    today: date,
    *,
    returns: Sequence[float] | None = None,
    monthly: Decimal | None = None,
    paths: int = PATHS,
    horizon_months: int = HORIZON_MONTHS,
) -> Projection:
    """A goal's projection as things stand, or if its average month were `monthly`.

    `returns` are monthly log-returns of what the goal is invested in, of the whole months before
    today's, oldest first; a goal of type INVESTMENT is invested without them too. Raises nothing: a
    goal that nobody checked in on is projected from its plan.
    """
    if is_reached(goal):
        return _reached(goal, today)
    market, returns = _market(goal, returns)
    paid = paid_by(goal, today, returns, market)
    habit = habit_of(float(goal.monthly_contribution), paid)
    average = rounded(Decimal(habit.mean), goal.currency) if monthly is None else monthly
    scenario = Scenario(
        start=start_of(goal, today),
        target_date=goal.target_date,
        target_amount=goal.target_amount,
        saved_amount=goal.saved_amount,
        currency=goal.currency,
        monthly=average,
        habit=habit,
        market=market,
        owes=goal.type is GoalType.DEBT_PAYOFF,
        annual_interest_rate=_rate(goal),
        seed=seed_of(goal, returns),
        paths=paths,
        horizon_months=horizon_months,
    )
    futures = simulator.simulate(scenario, (_LOW, *CHANCES, _HIGH))
    late = goal.target_date <= today
    dates = {share: day and max(day, today) for share, day in futures.dates.items()}
    return Projection(
        probability_on_track=_NEVER if late else futures.probability,
        p50_date=dates[CHANCES[0]],
        p80_date=dates[CHANCES[1]],
        p95_date=dates[CHANCES[2]],
        interval=CompletionInterval(_HIGH - _LOW, dates[_LOW], dates[_HIGH]),
        contribution_for=MappingProxyType(
            {chance: None if late else futures.contributions[chance] for chance in CHANCES}
        ),
        monthly=average,
        method=_method(goal, paid),
        assumptions=_assumptions(goal, today, paid, habit, returns, market, monthly, dates),
        paths=scenario.paths,
        horizon_months=scenario.horizon_months,
        seed=scenario.seed,
    )


def is_reached(goal: GoalFacts) -> bool:
    """Whether nothing is open: all is saved, or the goal is closed as reached."""
    return goal.status is GoalStatus.REACHED or goal.saved_amount >= goal.target_amount


def start_of(goal: GoalFacts, today: date) -> date:
    """The day from which months are drawn: that of the last check-in, if what is saved is as it says.

    Who checks in monthly goes on saving between check-ins; but silence counts for three months at most.
    """
    past = [one for one in goal.check_ins if one.date <= today]
    if not past or past[-1].amount != goal.saved_amount:
        return today
    return max(past[-1].date, today - timedelta(days=SILENCE_DAYS))


def seed_of(goal: GoalFacts, returns: Sequence[float]) -> int:
    """A number of 48 bits from what has happened.

    What is wanted (target, date, plan) is left out: plans compare over the same futures, so that more
    money or more time never looks worse by chance.
    """
    said = [f"{goal.started_on} {goal.starting_amount.normalize()}"]
    said += [f"{one.date} {one.amount.normalize()}" for one in goal.check_ins]
    said += [float(one).hex() for one in returns]
    return int.from_bytes(hashlib.sha256("\n".join(said).encode()).digest()[:6], "big")


def _market(
    goal: GoalFacts, returns: Sequence[float] | None
) -> tuple[Estimate | None, Sequence[float]]:
    invested = returns is not None or goal.type is GoalType.INVESTMENT
    if goal.type is GoalType.DEBT_PAYOFF or not invested:
        return None, ()
    return market_of(returns or ()), returns or ()


def _rate(goal: GoalFacts) -> Decimal:
    owes = goal.type is GoalType.DEBT_PAYOFF
    return (owes and goal.annual_interest_rate) or _NOTHING


def _method(goal: GoalFacts, paid: Sequence[Paid]) -> ProjectionMethod:
    if len(paid) >= ENOUGH_STRETCHES or (paid and not goal.monthly_contribution):
        return ProjectionMethod.CHECK_INS
    return ProjectionMethod.PLAN if goal.monthly_contribution else ProjectionMethod.NOTHING


def _reached(goal: GoalFacts, today: date) -> Projection:
    return Projection(
        probability_on_track=_CERTAIN,
        p50_date=today,
        p80_date=today,
        p95_date=today,
        interval=CompletionInterval(_HIGH - _LOW, today, today),
        contribution_for=MappingProxyType(dict.fromkeys(CHANCES, rounded(_NOTHING, goal.currency))),
        monthly=rounded(_NOTHING, goal.currency),
        method=ProjectionMethod.REACHED,
        assumptions=("The target is reached: nothing is left to chance.",),
        paths=0,
        horizon_months=0,
        seed=seed_of(goal, ()),
    )


def _assumptions(
    goal: GoalFacts,
    today: date,
    paid: Sequence[Paid],
    habit: Estimate,
    returns: Sequence[float],
    market: Estimate | None,
    monthly: Decimal | None,
    dates: Mapping[Decimal, date | None],
) -> tuple[str, ...]:
    said = [_of_habit(goal, paid, habit)]
    if monthly is not None:
        said.append(
            f"The average month is taken to be {words(monthly, goal.currency)};"
            " months differ from it as they did."
        )
    if market is not None:
        said.append(_of_market(returns, market))
    if _rate(goal):
        said.append(
            f"What is owed grows by a twelfth of {_percent(float(_rate(goal)))} each month."
        )
    said += _of_time(goal, today)
    if None in dates.values():
        said.append(
            f"Dates that are missing lie more than {HORIZON_MONTHS} months ahead, or never come."
        )
    said.append(
        "Months to come are like those past, each independent of the others:"
        " no trend, no season, no taxes, fees or inflation."
    )
    return tuple(said)


def _of_habit(goal: GoalFacts, paid: Sequence[Paid], habit: Estimate) -> str:
    mean = words(Decimal(habit.mean), goal.currency)
    spread = words(Decimal(habit.spread), goal.currency)
    months = sum(one.months for one in paid)
    match _method(goal, paid):
        case ProjectionMethod.CHECK_INS:
            few = len(paid) < ENOUGH_STRETCHES
            return (
                f"An average month brings {mean}, and months differ by {spread}, by check-ins over"
                f" {months:.1f} months; how uncertain that leaves both is counted in."
                + (" This is little history, and the spread is wide accordingly." if few else "")
            )
        case ProjectionMethod.PLAN if paid:
            return (
                f"There is too little history ({months:.1f} months): the plan counts as"
                f" {PLAN_MONTHS:.0f} months beside it. An average month brings {mean},"
                f" and months differ by {spread}."
            )
        case ProjectionMethod.PLAN:
            return (
                f"No check-ins lie {SHORTEST_STRETCH_DAYS} days or more apart: an average month"
                f" brings what is planned, {mean}, give or take"
                f" {_percent(PLAN_SPREAD / PLAN_MONTHS**0.5)}, and months differ by {spread}."
            )
        case _:
            return (
                "There is neither a plan nor any history: nothing comes in, and what is told to be"
                " needed would have to come in every month without fail."
            )


def _of_market(returns: Sequence[float], market: Estimate) -> str:
    years = f"{MARKET_MONTHS / 12:.0f} years of a market that grows 5 percent a year"
    rests = (
        f"{len(returns)} months of the linked series beside {years}"
        if returns
        else f"{years}, as no series is linked"
    )
    return (
        f"Monthly log-returns average {_percent(market.mean)} and differ by"
        f" {_percent(market.spread)}, by {rests}."
    )


def _of_time(goal: GoalFacts, today: date) -> list[str]:
    said = []
    if goal.target_date <= today:
        said.append("The target date has passed: the target cannot be reached by it any more.")
    if goal.status in (GoalStatus.PAUSED, GoalStatus.ABANDONED):
        said.append(
            f"The goal is {goal.status.value.lower()}: this is what follows if saving goes on."
        )
    start = start_of(goal, today)
    if start < today:
        said.append(
            f"Since {start.isoformat()} nobody has said what came in: those days are drawn too."
        )
    return said


def _percent(share: float) -> str:
    return f"{share:.2%}".removesuffix("%").rstrip("0").rstrip(".") + " percent"
