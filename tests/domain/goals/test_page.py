"""The examples of docs/goals.md are true: their figures are read from the page."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.goals import (
    CheckInFact,
    DebtFact,
    GoalFacts,
    GoalPriority,
    GoalType,
    PayoffOrder,
    ProfileFacts,
    StreakPeriod,
    budget_needed,
    decimals_of,
    make_plan,
    progress_of,
    rounded,
    schedule,
    split_budget,
    streak,
    unit_of,
)
from domain.goals.months import stretches
from domain.goals.plans.steps import SHARES
from domain.goals.progress import step
from tests.domain.goals.samples import goal

PAGE = Path("docs/goals.md").read_text()
OCTOBER = date(2026, 10, 31)

Table = list[dict[str, str]]


def tables(name: str) -> list[Table]:
    """The tables of an example, until the next example or heading: rows by their column's name."""
    (text,) = re.findall(rf"<!-- example: {name} -->\n(.*?)(?=\n#|\n<!--|\Z)", PAGE, re.DOTALL)
    return [
        _table(found.splitlines()) for found in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    ]


def _table(lines: list[str]) -> Table:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def facts(table: Table) -> dict[str, Any]:
    """A table of two columns: names as the rules have them, dates and amounts read."""
    return {name.replace(" ", "_"): _read(value) for name, value in (row.values() for row in table)}


def _read(value: str) -> Any:
    return date.fromisoformat(value) if re.fullmatch(r"\d{4}-\d\d-\d\d", value) else amount(value)


def amount(cell: str) -> Decimal:
    return Decimal(cell.replace(",", ""))


def example(name: str) -> tuple[GoalFacts, date, list[Table]]:
    """The goal of an example, its day, and the tables that follow."""
    given, *rest = tables(name)
    values = facts(given)
    today = values.pop("today")
    return goal(**values), today, rest


def test_amounts() -> None:
    (table,) = tables("amounts")
    assert len(table) == 4
    for row in table:
        currency = row["currency"]
        assert decimals_of(currency) == int(row["decimals"])
        assert unit_of(currency) == amount(row["smallest amount"])
        assert str(rounded(Decimal("2.3455"), currency)) == row["2.3455 rounded"]


@pytest.mark.parametrize(("name", "numbers"), [("progress", 6), ("debt", 3)])
def test_progress(name: str, numbers: int) -> None:
    one, today, (then, *_) = example(name)
    found, told = progress_of(one, today), facts(then)
    assert len(told) == numbers
    assert {number: getattr(found, number) for number in told} == told


def test_the_months_of_a_debt() -> None:
    one, today, (then, months) = example("debt")
    monthly, left = facts(then)["required_monthly"], facts(then)["left"]
    assert one.annual_interest_rate is not None
    for row, stretch in zip(months, stretches(today, one.target_date), strict=True):
        interest = rounded(left * one.annual_interest_rate / 12, "EUR")
        after = step(one, left, monthly, stretch)
        assert [str(stretch.due), interest, left + interest - after, after] == [
            row["month end"],
            *(amount(row[column]) for column in ("interest", "paid", "owed")),
        ]
        left = after


def test_pace() -> None:
    given, rows, then = tables("pace")
    values, told = facts(given), facts(then)
    totals = [
        CheckInFact(date.fromisoformat(row["check-in"]), amount(row["total"])) for row in rows
    ]
    one = goal(check_ins=tuple(totals), **{k: v for k, v in values.items() if k != "today"})
    found = progress_of(one, values["today"])
    assert (found.pace.monthly, found.pace.months) == (told["pace"], told["months"])
    assert found.projected_date == told["projected_date"]
    for before, after, row in zip(totals, totals[1:], rows[1:], strict=False):
        assert after.amount - before.amount == amount(row["contributed"])


def test_streaks() -> None:
    (table,) = tables("streak")
    assert len(table) == 4
    for row in table:
        days = [date.fromisoformat(day) for day in row["check-ins"].split(", ")]
        found = streak(days, date.fromisoformat(row["today"]), StreakPeriod[row["period"]])
        assert (found.current, found.longest) == (int(row["current"]), int(row["longest"]))


def test_emergency_funds() -> None:
    given, expected = tables("emergency")
    values = facts(given)
    profile = ProfileFacts(
        "EUR",
        values["monthly_income"],
        values["fixed_spending"],
        values["variable_spending"],
        int(values["dependants"]),
    )
    fund = goal(
        type=GoalType.EMERGENCY_FUND,
        **{name: values[name] for name in ("target_date", "target_amount", "saved_amount")},
    )
    plan = make_plan(fund, profile, values["today"])
    assert [
        {
            "step": one.kind.value,
            "amount": "" if one.amount is None else f"{one.amount:,}",
            "due": str(one.due),
        }
        for one in plan.steps
    ] == expected


def test_what_may_lose_value() -> None:
    (table,) = tables("shares")
    assert table == [
        {"years below": str(years)} | {who.value: str(part) for who, part in shares.items()}
        for years, shares in SHARES
    ]


def test_debts() -> None:
    given, payments, orders = tables("debts")
    debts = [
        DebtFact(row["debt"], *(amount(row[column]) for column in list(row)[1:])) for row in given
    ]
    made = {each: schedule(debts, Decimal(200), "EUR", OCTOBER, each) for each in PayoffOrder}
    avalanche = made[PayoffOrder.AVALANCHE]
    assert avalanche is not None
    assert [
        {column: str(getattr(one, column)) for column in payments[0]} for one in avalanche.payments
    ] == payments
    assert len(orders) == 2
    for row in orders:
        found = made[PayoffOrder[row["order"]]]
        assert found is not None
        first = found.cleared()[0]
        assert [first.debt, str(first.due), str(found.total_interest), str(found.debt_free_on)] == [
            row[column] for column in list(row)[1:]
        ]


def test_budgets() -> None:
    goals, splits = tables("budget")
    line = [
        (
            UUID(int=at),
            goal(
                priority=GoalPriority[row["priority"]],
                target_date=date.fromisoformat(row["target date"]),
                target_amount=amount(row["left"]),
                saved_amount=Decimal(0),
            ),
        )
        for at, row in enumerate(goals)
    ]
    assert len(splits) == 4
    for row in splits:
        made = split_budget(line, amount(row["budget"]), OCTOBER)
        names = [goals[one.goal_id.int]["goal"] for one in made.shares]
        assert [f"{one.amount}" for one in made.shares] == [row[f"{name} gets"] for name in names]
        missed = [goals[one.goal_id.int]["goal"] for one in made.unreachable]
        assert ", ".join(missed) == row["unreachable"]
        assert made.short == amount(row["short"])
        assert budget_needed(line, OCTOBER) == amount(row["budget needed"])
