"""The example of probability in docs/goals.md is true: its figures are read from the page."""

from dataclasses import replace
from decimal import Decimal

from domain.goals import CheckInFact
from domain.goals.habits import paid_by
from domain.goals.simulation import CHANCES, project
from infra.goals.simulation import NumpySimulator
from tests.domain.goals.test_page import amount, example, facts


def test_probability() -> None:
    goal, today, (rows, then) = example("probability")
    check_ins = facts([{"on": row["check-in"], "total": row["total"]} for row in rows])
    goal = replace(
        goal,
        check_ins=tuple(
            CheckInFact(today.fromisoformat(day), total) for day, total in check_ins.items()
        ),
    )
    counted = [row for row in rows if row["months"]]
    assert [amount(row["contributed a month"]) for row in counted] == [
        round(Decimal(one.monthly), 2) for one in paid_by(goal, today, (), None)
    ]
    assert [amount(row["months"]) for row in counted] == [
        round(Decimal(one.months), 2) for one in paid_by(goal, today, (), None)
    ]
    found, told = project(NumpySimulator(), goal, today), facts(then)
    names = ("monthly", "probability_on_track", "p50_date", "p80_date", "p95_date")
    assert told == {
        **{name: getattr(found, name) for name in names},
        "earliest": found.interval.earliest,
        "latest": found.interval.latest,
        **{f"contribution_for_{chance}": found.contribution_for[chance] for chance in CHANCES},
    }
