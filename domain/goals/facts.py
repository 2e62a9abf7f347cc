"""What the rules of goals are told: everything as arguments, nothing looked up."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum


class GoalType(Enum):
    """What a goal is for."""

    EMERGENCY_FUND = "EMERGENCY_FUND"
    DEBT_PAYOFF = "DEBT_PAYOFF"
    PURCHASE = "PURCHASE"
    EDUCATION = "EDUCATION"
    RETIREMENT = "RETIREMENT"
    TRAVEL = "TRAVEL"
    INVESTMENT = "INVESTMENT"
    OTHER = "OTHER"


class GoalStatus(Enum):
    """Where a goal is in its life."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    REACHED = "REACHED"
    ABANDONED = "ABANDONED"


class GoalPriority(Enum):
    """How much a goal matters beside the others."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


@dataclass(frozen=True, slots=True)
class CheckInFact:
    """The total saved as of a date; for debts, the total paid off."""

    date: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class GoalFacts:
    """A goal as the rules see it; amounts in `currency`, check-ins oldest first.

    `target_amount` of a debt is what is to be paid off, and `annual_interest_rate` what it costs:
    0.18 for 18 percent a year.
    """

    type: GoalType
    target_amount: Decimal
    currency: str
    started_on: date
    target_date: date
    starting_amount: Decimal
    monthly_contribution: Decimal
    priority: GoalPriority
    status: GoalStatus
    saved_amount: Decimal
    annual_interest_rate: Decimal | None = None
    check_ins: tuple[CheckInFact, ...] = ()
