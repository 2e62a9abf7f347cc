"""Futures of a goal, thousands at once: drawn month by month, so that only a month's are held in memory.

Random numbers are the generator's raw words, whose stream numpy keeps from version to version, looked
up in a table of 65,536 equally likely values of a normal distribution: equal scenarios give equal
futures on every machine.

In each future the money there is after a month is linear in the average contribution. So each future
has one least average that reaches the target by some month, and all that is asked is counted and ranked
among those: what is needed for a chance, fed back, gives that chance.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.goals.habits import Estimate
from domain.goals.money import rounded, unit_of
from domain.goals.months import Stretch, endless
from domain.goals.simulation import Futures, Scenario

Numbers = NDArray[np.float64]

_VALUES: Final = 1 << 16
_MOST_FREEDOM: Final = 120
_CONTRIBUTIONS, _RETURNS = range(2)


class NumpySimulator:
    """Draws futures with numpy."""

    def simulate(self, scenario: Scenario, shares: Sequence[Decimal]) -> Futures:
        """See the port; the months end as soon as all that is asked is known."""
        race = _Race(scenario, shares)
        with np.errstate(over="ignore", invalid="ignore"):  # a market may outgrow all numbers
            for course in courses(scenario):
                race.follow(course)
                if race.over:
                    break
            return race.futures()


@dataclass(slots=True)
class Course:
    """Where all futures are before and after one stretch: money without the average, and its weight.

    What there is with an average contribution c is `money + c * weight`.
    """

    stretch: Stretch
    money: Numbers
    weight: Numbers
    money_before: Numbers
    weight_before: Numbers

    def within(self, day: date) -> tuple[Numbers, Numbers]:
        """Money and weight on a day of the stretch, on a straight line between its ends."""
        part = 1 - (self.stretch.due - day).days / self.stretch.days
        return (
            (1 - part) * self.money_before + part * self.money,
            (1 - part) * self.weight_before + part * self.weight,
        )


def courses(scenario: Scenario) -> Iterator[Course]:
    """The months from the start to the horizon, or to the target date if that is later.

    Every course is given in the same four arrays.
    """
    paths = scenario.paths
    months = _Draws(scenario.habit, scenario.seed, _CONTRIBUTIONS, paths, centred=True)
    market = None
    if scenario.market is not None:
        market = _Draws(scenario.market, scenario.seed, _RETURNS, paths)
    rate = float(scenario.annual_interest_rate) / 12
    money, before = np.full(paths, _money_at_start(scenario)), np.empty(paths)
    weight, weight_before = np.zeros(paths), np.zeros(paths)
    for number, stretch in enumerate(endless(scenario.start)):
        begun = stretch.due - timedelta(days=stretch.days)
        if number >= scenario.horizon_months and begun >= scenario.target_date:
            return
        part = stretch.days / stretch.of
        np.copyto(before, money)
        np.copyto(weight_before, weight)
        if market is not None:
            growth = market.next(part)
            np.exp(growth, out=growth)
            money *= growth
            weight *= growth
        elif rate:
            money *= 1 + rate * part
            weight *= 1 + rate * part
        money += months.next(part)
        weight += part
        yield Course(stretch, money, weight, before, weight_before)


def _money_at_start(scenario: Scenario) -> float:
    saved = float(scenario.saved_amount)
    return saved - float(scenario.target_amount) if scenario.owes else saved


class _Draws:
    """A quantity of all futures, month after month, each future with a mean and a spread that may be so.

    `centred` leaves the estimated mean out.
    """

    def __init__(
        self, estimate: Estimate, seed: int, stream: int, paths: int, *, centred: bool = False
    ) -> None:
        self._words = np.random.PCG64(np.random.SeedSequence((seed, stream)))
        self._paths = paths
        self._table = _normal_table()
        spread = np.full(paths, estimate.spread)
        if estimate.freedom is not None:
            spread *= self._scale(min(estimate.freedom, _MOST_FREEDOM))
        # Where the mean lies matters most by far, so each of its equally likely values comes equally often.
        means = self._table[self._even()] / math.sqrt(estimate.months)
        means *= spread
        self._means = means if centred else means + estimate.mean
        self._spread = spread
        self._still = not estimate.spread

    def next(self, part: float) -> Numbers:
        """The quantity over a month, or over a part of it."""
        if self._still:
            return part * self._means
        drawn = self._normal()
        if part == 1:
            drawn *= self._spread
            drawn += self._means
            return drawn
        return part * self._means + math.sqrt(part) * self._spread * drawn

    def _normal(self) -> Numbers:
        return self._table[self._sixteen_bits()]

    def _sixteen_bits(self) -> NDArray[np.uint16]:
        words: NDArray[np.uint64] = self._words.random_raw(-(-self._paths // 4))
        bits: NDArray[np.uint16] = words.astype("<u8", copy=False).view("<u2")
        return bits[: self._paths]

    def _even(self) -> NDArray[np.intp]:
        order = np.argsort(self._sixteen_bits(), kind="stable")
        return (2 * order + 1) * _VALUES // (2 * self._paths)

    def _scale(self, freedom: int) -> Numbers:
        squares = np.zeros(self._paths)
        for _ in range(freedom):
            squares += self._normal() ** 2
        scale: Numbers = np.sqrt(freedom / squares)
        return scale


@cache
def _normal_table() -> Numbers:
    normal = NormalDist()
    upper = [normal.inv_cdf((2 * at + 1) / (2 * _VALUES)) for at in range(_VALUES // 2, _VALUES)]
    table = np.array([-one for one in reversed(upper)] + upper)
    return table / math.sqrt(math.fsum(one * one for one in table) / _VALUES)


@dataclass(slots=True)
class _Race:
    """Watches the futures month by month until it knows all that is asked."""

    scenario: Scenario
    shares: Sequence[Decimal]
    needed: Numbers = field(init=False)
    needed_in_time: Numbers | None = field(init=False, default=None)
    dates: dict[Decimal, date | None] = field(init=False)
    _target: float = field(init=False)
    _monthly: float = field(init=False)
    _ranks: dict[Decimal, int] = field(init=False)

    def __post_init__(self) -> None:
        self.needed = np.full(self.scenario.paths, math.inf)
        self.dates = dict.fromkeys(self.shares)
        self._ranks = {one: max(math.ceil(one * self.scenario.paths), 1) for one in self.shares}
        self._target = 0.0 if self.scenario.owes else float(self.scenario.target_amount)
        self._monthly = float(self.scenario.monthly) + self._grain()

    @property
    def over(self) -> bool:
        """Whether the rest of the months can tell nothing more."""
        timely = self.needed_in_time is not None or self.scenario.target_date <= self.scenario.start
        return timely and None not in self.dates.values()

    def follow(self, course: Course) -> None:
        """Take note of who reaches the target within a stretch, and what the others would have needed."""
        target_date, due = self.scenario.target_date, course.stretch.due
        begun = due - timedelta(days=course.stretch.days)
        if begun < target_date <= due:
            money, weight = course.within(target_date)
            self.needed_in_time = np.fmin(self.needed, (self._target - money) / weight)
        there = self.needed <= self._monthly
        needed = self._target - course.money
        needed /= course.weight
        np.fmin(self.needed, needed, out=self.needed)  # no number: reached long ago
        arrived = int(np.count_nonzero(self.needed <= self._monthly))
        for share, day in self.dates.items():
            if day is None and arrived >= self._ranks[share]:
                self.dates[share] = self._day(course, there, self._ranks[share])

    def futures(self) -> Futures:
        """All that was asked."""
        paths = self.scenario.paths
        if self.needed_in_time is None:
            return Futures(Decimal(0), self.dates, {})
        reached = int(np.count_nonzero(self.needed_in_time <= self._monthly))
        ranked = np.sort(self.needed_in_time)
        return Futures(
            Decimal(reached) / paths,
            self.dates,
            {share: self._amount(float(ranked[rank - 1])) for share, rank in self._ranks.items()},
        )

    def _day(self, course: Course, there: NDArray[np.bool_], rank: int) -> date:
        """The day of the stretch by which so many futures are there."""
        before = course.money_before + self._monthly * course.weight_before
        gain = course.money + self._monthly * course.weight - before
        way = np.full(self.scenario.paths, math.inf)
        np.divide(self._target - before, gain, out=way, where=gain > 0)
        way[there] = 0.0
        days = course.stretch.days
        part = float(np.partition(way, rank - 1)[rank - 1])
        ahead = min(max(math.ceil(part * days - 1e-6), 1), days)
        return course.stretch.due - timedelta(days=days - ahead)

    def _grain(self) -> float:
        """What sums of floats may be off by; far below a cent."""
        return float(unit_of(self.scenario.currency)) * 1e-4 + (
            float(self.scenario.target_amount) * 1e-13
        )

    def _amount(self, needed: float) -> Decimal:
        unit = unit_of(self.scenario.currency)
        cents = Decimal((needed - self._grain()) / float(unit)).to_integral_value(ROUND_CEILING)
        return rounded(max(cents, Decimal(0)) * unit, self.scenario.currency)
