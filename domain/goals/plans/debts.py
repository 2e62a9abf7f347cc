"""Paying several debts off: by avalanche or by snowball, to the cent."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from domain.goals.money import BEYOND, rounded, rounded_down
from domain.goals.months import Stretch, endless
from domain.goals.plans.facts import DebtFact, DebtPayment, DebtSchedule, PayoffOrder

LONGEST_SCHEDULE_MONTHS: Final = 1200
_NOTHING = Decimal(0)


def in_order(debts: Sequence[DebtFact], order: PayoffOrder) -> list[DebtFact]:
    """The debts as they are paid off: the dearest first, or the smallest; it stays so to the end."""
    if order is PayoffOrder.AVALANCHE:
        return sorted(debts, key=lambda one: (-one.annual_interest_rate, one.balance, one.name))
    return sorted(debts, key=lambda one: (one.balance, -one.annual_interest_rate, one.name))


def schedule(
    debts: Sequence[DebtFact], monthly: Decimal, currency: str, today: date, order: PayoffOrder
) -> DebtSchedule | None:
    """The payments of so much a month, at month ends, until nothing is owed; None if that never is.

    Each debt first gets its interest (a twelfth of the annual rate on its balance, rounded to the
    cent) and its minimum payment; all that is left goes to the first debt in order, and what that
    does not need to the next, in the same month. Of a month that has begun, interest and payment
    are the share of its days that are left.
    """
    ordered = in_order(debts, order)
    balances = [one.balance for one in ordered]
    payments: list[DebtPayment] = []
    for number, stretch in enumerate(endless(today)):
        if not any(balances):
            return DebtSchedule(order, tuple(payments))
        if number > LONGEST_SCHEDULE_MONTHS or sum(balances) > BEYOND:
            return None
        interest = _interest(ordered, balances, stretch, currency)
        owed = [balance + cost for balance, cost in zip(balances, interest, strict=True)]
        paid = _paid(ordered, owed, _share(monthly, stretch, currency))
        balances = [whole - part for whole, part in zip(owed, paid, strict=True)]
        payments += [
            DebtPayment(stretch.due, debt.name, cost, part - cost, balance)
            for debt, cost, part, whole, balance in zip(
                ordered, interest, paid, owed, balances, strict=True
            )
            if whole
        ]
    return None


def _share(monthly: Decimal, stretch: Stretch, currency: str) -> Decimal:
    return rounded_down(monthly * stretch.days / stretch.of, currency)


def _interest(
    debts: Sequence[DebtFact], balances: Sequence[Decimal], stretch: Stretch, currency: str
) -> list[Decimal]:
    return [
        rounded(balance * debt.annual_interest_rate * stretch.days / (12 * stretch.of), currency)
        for debt, balance in zip(debts, balances, strict=True)
    ]


def _paid(debts: Sequence[DebtFact], owed: Sequence[Decimal], purse: Decimal) -> list[Decimal]:
    """What each debt gets: minimum payments first, in order, then all the rest in order."""
    paid = [_NOTHING] * len(debts)
    for most in ([debt.minimum_payment for debt in debts], owed):
        for at, limit in enumerate(most):
            part = min(limit, owed[at] - paid[at], purse)
            paid[at] += part
            purse -= part
    return paid
