"""Action plans: what to do for a goal, until when, and why, by rules that can be read."""

from domain.goals.plans.debts import in_order, schedule
from domain.goals.plans.facts import (
    ActionPlan,
    DebtFact,
    DebtPayment,
    DebtSchedule,
    PayoffOrder,
    PlanStep,
    ProfileFacts,
    RiskTolerance,
    StepKind,
    StepState,
)
from domain.goals.plans.making import digest_of, make_plan, replan, settle
from domain.goals.plans.steps import advised_months

__all__ = [
    "ActionPlan",
    "DebtFact",
    "DebtPayment",
    "DebtSchedule",
    "PayoffOrder",
    "PlanStep",
    "ProfileFacts",
    "RiskTolerance",
    "StepKind",
    "StepState",
    "advised_months",
    "digest_of",
    "in_order",
    "make_plan",
    "replan",
    "schedule",
    "settle",
]
