"""Goals: 10,000 futures of 360 months, saved and invested; against drawing their random numbers alone."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from statistics import median

import numpy as np

from domain.goals.habits import Estimate, market_of
from domain.goals.simulation import CHANCES, HORIZON_MONTHS, PATHS, Scenario
from infra.goals.simulation import NumpySimulator
from tests.bench.report import Figure, figure

ROUNDS = 31
WITHIN_MS = 60
REACH = 1.0
SAVED = Scenario(
    start=date(2026, 11, 30),
    target_date=date(2056, 11, 30),
    target_amount=Decimal(10) ** 9,  # out of reach, so that every month is drawn
    saved_amount=Decimal(1_000),
    currency="EUR",
    monthly=Decimal(500),
    habit=Estimate(500.0, 200.0, 12.0, 13),
    market=None,
    owes=False,
    annual_interest_rate=Decimal(0),
    seed=1,
)
INVESTED = replace(SAVED, market=market_of([0.01, -0.02, 0.03] * 20))


def run() -> list[Figure]:
    """Each in turn with its floor, so that the machine's noise falls on both."""
    simulator = NumpySimulator()
    figures = []
    for name, scenario, numbers in (("saved", SAVED, 1), ("invested", INVESTED, 2)):
        simulator.simulate(scenario, CHANCES)
        ours, floor = [], []
        for _ in range(ROUNDS):
            floor.append(_milliseconds(partial(_draw, numbers)))
            ours.append(_milliseconds(partial(simulator.simulate, scenario, CHANCES)))
        ms, bare = median(ours), median(floor)
        figures += [
            figure(f"{name}: normal numbers alone, by numpy", bare, "ms"),
            figure(f"{name}: projected", ms, "ms", ms / bare, f"at most {REACH}; {WITHIN_MS} ms"),
        ]
    return figures


def _draw(numbers: int) -> None:
    """As many normal numbers as there are contributions (and returns), a month at a time."""
    generator = np.random.default_rng(1)
    month = np.empty(PATHS)
    for _ in range(numbers * HORIZON_MONTHS):
        generator.standard_normal(out=month)


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
