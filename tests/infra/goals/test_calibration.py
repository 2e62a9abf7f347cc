"""Of goals given 80 percent, 80 of 100 are reached: tried on savers who follow no model of ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from domain.goals.simulation import CHANCES, is_reached, project
from infra.goals.simulation import NumpySimulator
from tests.infra.goals.savers import savers

SAVERS, PATHS = 2_000, 400
WITHIN = 0.03


@dataclass(frozen=True)
class Outcomes:
    """What savers were told, and what became of them."""

    months_known: NDArray[np.int64]
    told: NDArray[np.float64]
    reached: NDArray[np.bool_]
    reached_with: Mapping[Decimal, NDArray[np.bool_]]


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    simulator = NumpySimulator()
    known, told, reached = [], [], []
    reached_with: dict[Decimal, list[bool]] = {chance: [] for chance in CHANCES}
    for saver in savers(SAVERS, seed=20):
        if is_reached(saver.goal):
            continue
        projection = project(simulator, saver.goal, saver.today, paths=PATHS, horizon_months=0)
        needed = projection.contribution_for
        if not needed[CHANCES[0]]:
            continue
        known.append(saver.months_known)
        told.append(float(projection.probability_on_track))
        reached.append(saver.reaches(0))
        for chance, amount in needed.items():
            assert amount
            reached_with[chance].append(saver.reaches(float(amount - projection.monthly)))
    return Outcomes(
        np.array(known),
        np.array(told),
        np.array(reached),
        {chance: np.array(reached) for chance, reached in reached_with.items()},
    )


def test_as_many_reach_their_target_as_were_given_that_chance(outcomes: Outcomes) -> None:
    for chance, reached in outcomes.reached_with.items():
        assert len(reached) > 0.95 * SAVERS
        assert reached.mean() == pytest.approx(float(chance), abs=WITHIN)


def test_so_do_those_with_short_and_long_histories(outcomes: Outcomes) -> None:
    for least, most in ((3, 6), (7, 24), (25, 60)):
        some = (outcomes.months_known >= least) & (outcomes.months_known <= most)
        for chance, reached in outcomes.reached_with.items():
            error = float(chance * (1 - chance) / int(some.sum())) ** 0.5
            assert reached[some].mean() == pytest.approx(float(chance), abs=WITHIN + error)


def test_the_probability_told_is_how_often_it_comes_true(outcomes: Outcomes) -> None:
    for low in np.arange(0, 1, 0.2):
        some = (outcomes.told >= low) & (outcomes.told < low + 0.2001)
        told = outcomes.told[some].mean()
        error = (told * (1 - told) / some.sum()) ** 0.5
        assert outcomes.reached[some].mean() == pytest.approx(told, abs=WITHIN + error)
    some = (outcomes.told > 0.7) & (outcomes.told < 0.9)
    assert outcomes.told[some].mean() == pytest.approx(0.8, abs=0.02)
    assert outcomes.reached[some].mean() == pytest.approx(0.8, abs=0.05)
