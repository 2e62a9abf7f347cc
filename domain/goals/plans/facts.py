"""What plans are made from and what they are."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum


class RiskTolerance(Enum):
    """How much of a loss somebody can bear on the way."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """What comes in and goes out a month; `emergency_savings` is what is put by for bad days, if known."""

    currency: str
    monthly_income: Decimal
    fixed_spending: Decimal
    variable_spending: Decimal
    dependants: int = 0
    risk_tolerance: RiskTolerance = RiskTolerance.MEDIUM
    emergency_savings: Decimal | None = None

    @property
    def spending(self) -> Decimal:
        """All that goes out a month."""
        return self.fixed_spending + self.variable_spending

    @property
    def free(self) -> Decimal:
        """What is left of a month's income; negative when more goes out."""
        return self.monthly_income - self.spending


class StepKind(Enum):
    """What a step asks for."""

    TRIM_SPENDING = "TRIM_SPENDING"
    MOVE_DATE = "MOVE_DATE"
    KEEP_BUFFER = "KEEP_BUFFER"
    SET_ASIDE = "SET_ASIDE"
    SAVE_MONTH = "SAVE_MONTH"
    RAISE_TARGET = "RAISE_TARGET"
    CHOOSE_ORDER = "CHOOSE_ORDER"
    CLEAR_DEBT = "CLEAR_DEBT"
    INVEST = "INVEST"
    MILESTONE = "MILESTONE"
    CHECK_IN = "CHECK_IN"


class StepState(Enum):
    """What became of a step."""

    OPEN = "OPEN"
    DONE = "DONE"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One thing to do until a date, and why; `number` tells steps of a kind apart."""

    kind: StepKind
    number: int
    amount: Decimal | None
    due: date
    reason: str
    state: StepState = StepState.OPEN

    @property
    def key(self) -> tuple[StepKind, int]:
        """What stays of a step when its plan is made anew."""
        return self.kind, self.number


@dataclass(frozen=True, slots=True)
class DebtFact:
    """One debt: what is owed, what it costs a year (0.18 is 18 percent), what must be paid a month."""

    name: str
    balance: Decimal
    annual_interest_rate: Decimal
    minimum_payment: Decimal = Decimal(0)


class PayoffOrder(Enum):
    """Which debt is paid first: the one that costs most, or the smallest."""

    AVALANCHE = "AVALANCHE"
    SNOWBALL = "SNOWBALL"


@dataclass(frozen=True, slots=True)
class DebtPayment:
    """What one debt is paid on a day: `interest` and `principal` of it, and the balance after."""

    due: date
    debt: str
    interest: Decimal
    principal: Decimal
    balance: Decimal

    @property
    def paid(self) -> Decimal:
        """Interest and principal together."""
        return self.interest + self.principal


@dataclass(frozen=True, slots=True)
class DebtSchedule:
    """Payments until nothing is owed, oldest first; of one day, in the order in which debts are paid."""

    order: PayoffOrder
    payments: tuple[DebtPayment, ...]

    @property
    def total_interest(self) -> Decimal:
        """What the debts cost on the way."""
        return sum((one.interest for one in self.payments), Decimal(0))

    @property
    def total_paid(self) -> Decimal:
        """Debts and interest together."""
        return sum((one.paid for one in self.payments), Decimal(0))

    @property
    def debt_free_on(self) -> date | None:
        """The day of the last payment; None without debts."""
        return self.payments[-1].due if self.payments else None

    def cleared(self) -> list[DebtPayment]:
        """The last payment of each debt, in the order of time."""
        return [one for one in self.payments if not one.balance]


@dataclass(frozen=True, slots=True)
class ActionPlan:
    """Steps in their order, made on a day from the facts whose digest it keeps."""

    digest: str
    made_on: date
    steps: tuple[PlanStep, ...]
    schedules: tuple[DebtSchedule, ...] = ()
