"""Synthetic savers, whose habits are none that the simulation was fitted to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from domain.goals import CheckInFact, GoalFacts, GoalPriority, GoalStatus, GoalType

BEGAN = date(2015, 1, 1)
MONTH_DAYS = 365.25 / 12


@dataclass(frozen=True)
class Saver:
    """A goal as its owner knows it today, and what they will put aside after the last check-in."""

    goal: GoalFacts
    today: date
    months_known: int
    coming: NDArray[np.float64]

    def reaches(self, more: float) -> bool:
        """Whether the target is reached in time with so much more (or less) put aside each month."""
        open_ = float(self.goal.target_amount - self.goal.saved_amount)
        return bool(np.cumsum(self.coming + more).max(initial=0.0) >= open_)


def savers(count: int, seed: int) -> Iterator[Saver]:
    """Savers with 3 to 60 months of history and 2 to 60 to go.

    They save about what they planned, or three quarters or five quarters of it, evenly, unevenly
    (gamma) or with months left out, on a day of their own, and check in on any days, some rarely.
    """
    random = np.random.default_rng(seed)
    for _ in range(count):
        history = round(float(np.exp(random.uniform(np.log(3), np.log(60)))))
        ahead = round(float(np.exp(random.uniform(np.log(2), np.log(60)))))
        plan = 100.0 * round(random.uniform(1, 10))
        paid = _paid(random, plan * float(np.exp(random.normal(-0.1, 0.3))), history + ahead)
        days = (np.arange(history + ahead) + random.uniform()) * MONTH_DAYS
        seen = _check_in_days(random, history)
        totals = [float(paid[days <= day].sum()) for day in seen]
        today = int(seen[-1]) + int(random.integers(0, 20))
        last = history * MONTH_DAYS + ahead * MONTH_DAYS
        to_come = (days > seen[-1]) & (days <= last)
        yield Saver(
            GoalFacts(
                type=GoalType.PURCHASE,
                target_amount=_money(totals[-1] + plan * ahead * random.uniform(0.5, 1.5)),
                currency="EUR",
                started_on=BEGAN,
                target_date=BEGAN + timedelta(days=round(last)),
                starting_amount=Decimal(0),
                monthly_contribution=_money(plan),
                priority=GoalPriority.MEDIUM,
                status=GoalStatus.ACTIVE,
                saved_amount=_money(totals[-1]),
                check_ins=tuple(
                    CheckInFact(BEGAN + timedelta(days=int(day)), _money(total))
                    for day, total in zip(seen, totals, strict=True)
                ),
            ),
            BEGAN + timedelta(days=min(today, round(last) - 1)),
            history,
            paid[to_come],
        )


def _paid(random: np.random.Generator, mean: float, months: int) -> NDArray[np.float64]:
    uneven = random.uniform(0.15, 0.8)
    match random.integers(3):
        case 0:
            return mean * (1 + uneven * random.standard_normal(months))
        case 1:
            return random.gamma(1 / uneven**2, mean * uneven**2, months)
        case _:
            left_out = random.uniform(0.05, 0.3)
            even = mean / (1 - left_out) * (1 + 0.15 * random.standard_normal(months))
            return np.where(random.random(months) < left_out, 0.0, even)


def _check_in_days(random: np.random.Generator, history: int) -> NDArray[np.int64]:
    """Days of check-ins: between one and four weeks and a half apart, or up to two months."""
    most = random.choice([10, 35, 65])
    gaps = random.integers(7, most, 400)
    days = np.cumsum(gaps)
    end = int(history * MONTH_DAYS)
    kept: NDArray[np.int64] = np.append(days[days < end - 7], end)
    return kept


def _money(amount: float) -> Decimal:
    return Decimal(amount).quantize(Decimal("0.01"))
