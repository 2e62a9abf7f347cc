"""Making a plan from facts, and making it anew when they change."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from hashlib import sha256

from domain.goals.errors import StepNotFound
from domain.goals.facts import GoalFacts, GoalType
from domain.goals.plans import steps
from domain.goals.plans.debts import schedule
from domain.goals.plans.facts import (
    ActionPlan,
    DebtFact,
    DebtSchedule,
    PayoffOrder,
    PlanStep,
    ProfileFacts,
    StepKind,
    StepState,
)
from domain.goals.progress import left_of

_NOTHING = Decimal(0)


def make_plan(
    goal: GoalFacts,
    profile: ProfileFacts | None,
    today: date,
    debts: Sequence[DebtFact] = (),
) -> ActionPlan:
    """The plan for a goal: steps by due date, those of one day in the order of the rules.

    A profile in another currency than the goal's says nothing about it and is left out. `debts` are
    what a debt goal consists of; without them it is one debt.
    """
    digest = digest_of(goal, profile, debts)
    if not left_of(goal):
        return ActionPlan(digest, today, ())
    if profile is not None and profile.currency != goal.currency:
        profile = None
    means = steps.means_of(goal, profile, today)
    schedules = _schedules(goal, debts, means.monthly, today)
    found = _steps(goal, profile, means, schedules, today)
    return ActionPlan(digest, today, tuple(sorted(found, key=lambda one: one.due)), schedules)


def _steps(
    goal: GoalFacts,
    profile: ProfileFacts | None,
    means: steps.Means,
    schedules: Sequence[DebtSchedule],
    today: date,
) -> Iterator[PlanStep]:
    yield from steps.afford(goal, means, today)
    if profile is not None:
        yield from steps.buffer(goal, profile, today)
    yield from steps.set_aside(goal, means, today)
    if profile is not None:
        yield from steps.invest(goal, profile, means.monthly, today)
    if goal.type is GoalType.DEBT_PAYOFF:
        yield from steps.clear_debts(goal, schedules, means.monthly)
    elif goal.type is GoalType.EMERGENCY_FUND and profile is not None:
        yield from steps.months_of_spending(goal, profile, means.monthly, today)
    else:
        yield from steps.milestones(goal, means.monthly, today)
    yield from steps.check_in(today)


def _schedules(
    goal: GoalFacts, debts: Sequence[DebtFact], monthly: Decimal, today: date
) -> tuple[DebtSchedule, ...]:
    if goal.type is not GoalType.DEBT_PAYOFF or not monthly:
        return ()
    one = DebtFact("The debt", left_of(goal), goal.annual_interest_rate or _NOTHING)
    made = (
        schedule(debts or (one,), monthly, goal.currency, today, order) for order in PayoffOrder
    )
    return tuple(each for each in made if each is not None)


def replan(
    old: ActionPlan,
    goal: GoalFacts,
    profile: ProfileFacts | None,
    today: date,
    debts: Sequence[DebtFact] = (),
) -> ActionPlan:
    """The plan after facts may have changed: the old one itself if they have not.

    Steps done or skipped are kept as they were. A skipped step is not asked for again, a done one
    only with another amount than was done.
    """
    if old.digest == digest_of(goal, profile, debts):
        return old
    plan = make_plan(goal, profile, today, debts)
    settled = {one.key: one for one in old.steps if one.state is not StepState.OPEN}
    kept = [one for one in old.steps if one.state is not StepState.OPEN]
    return replace(
        plan, steps=(*kept, *(one for one in plan.steps if _asks_anew(one, settled.get(one.key))))
    )


def _asks_anew(step: PlanStep, settled: PlanStep | None) -> bool:
    return settled is None or (settled.state is StepState.DONE and settled.amount != step.amount)


def settle(plan: ActionPlan, key: tuple[StepKind, int], state: StepState) -> ActionPlan:
    """The plan with an open step done or skipped; raises StepNotFound."""
    found = [
        at for at, one in enumerate(plan.steps) if one.key == key and one.state is StepState.OPEN
    ]
    if not found:
        raise StepNotFound(id=f"{key[0].value}-{key[1]}")
    changed = list(plan.steps)
    changed[found[0]] = replace(changed[found[0]], state=state)
    return replace(plan, steps=tuple(changed))


def digest_of(goal: GoalFacts, profile: ProfileFacts | None, debts: Sequence[DebtFact] = ()) -> str:
    """A fingerprint of all that a plan is made from but the day: 64 hex digits.

    Amounts are equal by value (1.5 is 1.50), debts in any order.
    """
    facts = [_plain(goal), _plain(profile), sorted(json.dumps(_plain(one)) for one in debts)]
    return sha256(json.dumps(facts).encode()).hexdigest()


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value
