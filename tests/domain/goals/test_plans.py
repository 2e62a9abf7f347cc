from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.goals.errors import StepNotFound
from domain.goals.facts import GoalFacts, GoalType
from domain.goals.plans import (
    ActionPlan,
    DebtFact,
    DebtSchedule,
    PayoffOrder,
    PlanStep,
    ProfileFacts,
    RiskTolerance,
    StepKind,
    StepState,
    advised_months,
    digest_of,
    make_plan,
    replan,
    schedule,
    settle,
)
from domain.goals.progress import left_of, required_monthly
from tests.domain.goals.samples import TODAY, cents, check_ins, goal, goals, rates

PROFILE = ProfileFacts("EUR", Decimal(3000), Decimal(1500), Decimal(1000))
OCTOBER = date(2026, 10, 31)
CARD = DebtFact("Card", Decimal(3000), Decimal("0.24"), Decimal(60))
LOAN = DebtFact("Loan", Decimal(1000), Decimal("0.06"), Decimal(40))

debts = st.lists(
    st.builds(
        DebtFact,
        st.just("debt"),
        cents(1, 10**7),
        rates.filter(lambda rate: rate <= Decimal("0.5")),
        cents(0, 10**4),
    ),
    min_size=1,
    max_size=4,
).map(lambda found: [replace(one, name=f"debt {at}") for at, one in enumerate(found)])


def monthly_of(found: list[DebtFact], more: Decimal) -> Decimal:
    """Enough to end: the interest of the first month, twice, and something."""
    return 2 * sum((one.balance for one in found), Decimal(0)) / 24 + 1 + more


def planned(
    found: list[DebtFact], monthly: Decimal, order: PayoffOrder, today: date = OCTOBER
) -> DebtSchedule:
    made = schedule(found, monthly, "EUR", today, order)
    assert made is not None
    return made


@given(debts, cents(0, 10**6), st.sampled_from(PayoffOrder), st.dates(OCTOBER, TODAY))
def test_a_schedule_ends_with_nothing_owed_and_every_cent_accounted_for(
    found: list[DebtFact], more: Decimal, order: PayoffOrder, today: date
) -> None:
    monthly = monthly_of(found, more)
    made = planned(found, monthly, order, today)
    balances = {one.name: one.balance for one in found}
    for payment in made.payments:
        balances[payment.debt] -= payment.principal
        assert payment.balance == balances[payment.debt] >= 0
        assert payment.paid >= 0
        assert payment.paid == payment.paid.quantize(Decimal("0.01"))
    assert not any(balances.values())
    assert sum(one.principal for one in made.payments) == sum(one.balance for one in found)
    assert made.total_paid == made.total_interest + sum(one.balance for one in found)


@given(debts, cents(0, 10**6), st.sampled_from(PayoffOrder))
def test_each_month_spends_all_of_its_money_until_the_last_which_is_smaller(
    found: list[DebtFact], more: Decimal, order: PayoffOrder
) -> None:
    monthly = monthly_of(found, more).quantize(Decimal("0.01"))
    made = planned(found, monthly, order)
    paid = [
        sum(one.paid for one in of_day)
        for _, of_day in groupby(made.payments, key=lambda one: one.due)
    ]
    assert set(paid[:-1]) <= {monthly}
    assert 0 < paid[-1] <= monthly


@given(debts, cents(0, 10**6))
def test_avalanche_never_costs_more_interest_than_snowball(
    found: list[DebtFact], more: Decimal
) -> None:
    monthly = monthly_of(found, more)
    avalanche = planned(found, monthly, PayoffOrder.AVALANCHE)
    snowball = planned(found, monthly, PayoffOrder.SNOWBALL)
    roundings = Decimal("0.005") * (len(avalanche.payments) + len(snowball.payments))
    assert avalanche.total_interest <= snowball.total_interest + roundings
    assert avalanche.debt_free_on is not None
    assert snowball.debt_free_on is not None


def test_snowball_clears_the_small_debt_first_and_avalanche_the_dear_one() -> None:
    both = {order: planned([LOAN, CARD], Decimal(300), order) for order in PayoffOrder}
    first = {order: made.cleared()[0].debt for order, made in both.items()}
    assert first == {PayoffOrder.AVALANCHE: "Card", PayoffOrder.SNOWBALL: "Loan"}
    avalanche, snowball = both[PayoffOrder.AVALANCHE], both[PayoffOrder.SNOWBALL]
    assert avalanche.total_interest < snowball.total_interest


def test_every_debt_gets_its_minimum_payment_while_there_is_money_for_it() -> None:
    made = planned([LOAN, CARD], Decimal(300), PayoffOrder.AVALANCHE)
    first = {one.debt: one for one in made.payments if one.due == date(2026, 11, 30)}
    assert (first["Loan"].paid, first["Card"].paid) == (40, 260)
    assert (first["Loan"].interest, first["Card"].interest) == (5, 60)


def test_of_a_month_that_has_begun_only_the_rest_counts() -> None:
    made = planned(
        [replace(CARD, minimum_payment=Decimal(0))], Decimal(300), PayoffOrder.SNOWBALL, TODAY
    )
    first = made.payments[0]
    assert (first.due, first.paid, first.interest) == (date(2026, 11, 30), 90, 18)


def test_payments_below_the_interest_never_end() -> None:
    assert schedule([CARD], Decimal(60), "EUR", OCTOBER, PayoffOrder.AVALANCHE) is None
    assert schedule([CARD], Decimal(0), "EUR", OCTOBER, PayoffOrder.SNOWBALL) is None
    worst = replace(CARD, annual_interest_rate=Decimal(10))
    assert schedule([worst], Decimal(1), "EUR", OCTOBER, PayoffOrder.SNOWBALL) is None
    assert planned([], Decimal(5), PayoffOrder.SNOWBALL).debt_free_on is None


def steps_of(plan: ActionPlan, kind: StepKind) -> list[PlanStep]:
    return [one for one in plan.steps if one.kind is kind]


def step_of(plan: ActionPlan, kind: StepKind) -> PlanStep:
    (found,) = steps_of(plan, kind)
    return found


def kinds(plan: ActionPlan) -> set[StepKind]:
    return {one.kind for one in plan.steps}


def test_what_can_be_afforded_is_asked_for_and_nothing_else() -> None:
    plan = make_plan(goal(), PROFILE, TODAY)
    assert kinds(plan) == {StepKind.SET_ASIDE, StepKind.MILESTONE, StepKind.CHECK_IN}
    aside = step_of(plan, StepKind.SET_ASIDE)
    assert aside.amount == required_monthly(goal(), TODAY) == Decimal("493.16")
    assert aside.due == date(2026, 11, 30)
    assert "3,600.00 EUR are left until 2027-06-30" in aside.reason
    assert "193.16 EUR more than planned" in aside.reason


def test_what_is_missing_is_taken_from_variable_spending_up_to_a_fifth() -> None:
    plan = make_plan(goal(), replace(PROFILE, monthly_income=Decimal(2900)), TODAY)
    assert step_of(plan, StepKind.TRIM_SPENDING).amount == Decimal("93.16")
    assert step_of(plan, StepKind.SET_ASIDE).amount == Decimal("493.16")
    assert StepKind.MOVE_DATE not in kinds(plan)
    poor = make_plan(goal(), replace(PROFILE, monthly_income=Decimal(2550)), TODAY)
    assert step_of(poor, StepKind.TRIM_SPENDING).amount == 200
    assert step_of(poor, StepKind.SET_ASIDE).amount == 250
    assert (
        "With 250.00 EUR a month it is reached on 2028-02-"
        in step_of(poor, StepKind.MOVE_DATE).reason
    )


def test_who_has_nothing_to_give_is_told_so() -> None:
    plan = make_plan(goal(), replace(PROFILE, monthly_income=Decimal(100)), TODAY)
    assert "0.00 EUR a month never gets there" in step_of(plan, StepKind.MOVE_DATE).reason
    assert StepKind.SET_ASIDE not in kinds(plan)
    assert StepKind.MILESTONE not in kinds(plan)


def test_an_overdue_goal_goes_on_at_its_pace_and_gets_the_date_of_that() -> None:
    plan = make_plan(goal(target_date=TODAY), None, TODAY)
    reason = step_of(plan, StepKind.MOVE_DATE).reason
    reached = steps_of(plan, StepKind.MILESTONE)[-1].due
    assert reached == date(2027, 11, 21)
    assert reason == (
        "The target date has come. With 300.00 EUR a month it is reached on 2027-11-21: "
        "take that date."
    )
    assert StepKind.SET_ASIDE not in kinds(plan)
    idle = make_plan(goal(target_date=TODAY, monthly_contribution=Decimal(0)), None, TODAY)
    assert kinds(idle) == {StepKind.MOVE_DATE, StepKind.CHECK_IN}


def test_a_buffer_comes_first_and_is_larger_with_dependants() -> None:
    thin = replace(PROFILE, emergency_savings=Decimal(2000))
    assert step_of(make_plan(goal(), thin, TODAY), StepKind.KEEP_BUFFER).amount == 500
    family = replace(thin, dependants=2)
    assert step_of(make_plan(goal(), family, TODAY), StepKind.KEEP_BUFFER).amount == 3000
    rich = replace(thin, emergency_savings=Decimal(2500))
    assert StepKind.KEEP_BUFFER not in kinds(make_plan(goal(), rich, TODAY))


def test_what_is_saved_is_not_asked_for() -> None:
    plan = make_plan(goal(saved_amount=Decimal(3000)), None, TODAY)
    assert [one.number for one in steps_of(plan, StepKind.MILESTONE)] == [75, 100]
    assert make_plan(goal(saved_amount=Decimal(6000)), PROFILE, TODAY).steps == ()
    fund = goal(type=GoalType.EMERGENCY_FUND, saved_amount=Decimal(2500))
    levels = steps_of(make_plan(fund, PROFILE, TODAY), StepKind.SAVE_MONTH)
    assert [one.amount for one in levels] == [5000]


def test_an_emergency_fund_grows_by_months_of_spending() -> None:
    fund = goal(type=GoalType.EMERGENCY_FUND, target_amount=Decimal(8000))
    plan = make_plan(fund, replace(PROFILE, emergency_savings=Decimal(0)), TODAY)
    assert [(one.number, one.amount) for one in steps_of(plan, StepKind.SAVE_MONTH)] == [
        (1, 2500),
        (2, 5000),
        (3, 7500),
    ]
    assert StepKind.RAISE_TARGET not in kinds(plan)
    assert StepKind.KEEP_BUFFER not in kinds(plan)
    careful = replace(PROFILE, dependants=5, risk_tolerance=RiskTolerance.LOW)
    assert advised_months(careful)[0] == 7
    raised = step_of(make_plan(fund, careful, TODAY), StepKind.RAISE_TARGET)
    assert raised.amount == 17500
    assert "3 for anybody, 3 for dependants, 1 for little risk" in raised.reason


def test_the_share_that_may_lose_value_falls_with_time_and_tolerance() -> None:
    def share(years: int, tolerance: RiskTolerance) -> int:
        far = goal(type=GoalType.RETIREMENT, target_date=TODAY.replace(year=TODAY.year + years))
        plan = make_plan(far, replace(PROFILE, risk_tolerance=tolerance), TODAY)
        return step_of(plan, StepKind.INVEST).number

    for tolerance in RiskTolerance:
        shares = [share(years, tolerance) for years in (1, 4, 10, 30)]
        assert shares == sorted(shares)
        assert shares[0] == 0
    medium = [share(years, RiskTolerance.MEDIUM) for years in (2, 3, 6, 7, 14, 15)]
    assert medium == [0, 30, 30, 50, 50, 60]
    assert [share(30, tolerance) for tolerance in RiskTolerance] == [40, 60, 80]
    assert StepKind.INVEST not in kinds(make_plan(goal(), PROFILE, TODAY))


def test_a_debt_goal_compares_both_orders_and_clears_debt_after_debt() -> None:
    debt = goal(
        type=GoalType.DEBT_PAYOFF,
        target_amount=Decimal(4000),
        saved_amount=Decimal(0),
        annual_interest_rate=Decimal("0.20"),
    )
    plan = make_plan(debt, PROFILE, OCTOBER, (CARD, LOAN))
    assert {one.order for one in plan.schedules} == set(PayoffOrder)
    cleared = steps_of(plan, StepKind.CLEAR_DEBT)
    assert [(one.number, one.amount) for one in cleared] == [(1, 3000), (2, 1000)]
    assert "Card is paid off by then" in cleared[0].reason
    assert "Paying the dearest debt first costs" in step_of(plan, StepKind.CHOOSE_ORDER).reason
    alone = make_plan(debt, None, OCTOBER)
    assert StepKind.CHOOSE_ORDER not in kinds(alone)
    assert step_of(alone, StepKind.CLEAR_DEBT).amount == 4000


def test_a_profile_in_another_currency_says_nothing_about_the_goal() -> None:
    other = replace(PROFILE, currency="USD", monthly_income=Decimal(0))
    assert make_plan(goal(), other, TODAY).steps == make_plan(goal(), None, TODAY).steps


@given(goals(), cents(0, 10**6), cents(0, 10**6), cents(0, 10**6))
def test_no_plan_asks_for_more_than_is_needed_or_there(
    one: GoalFacts, income: Decimal, fixed: Decimal, variable: Decimal
) -> None:
    profile = ProfileFacts("EUR", income, fixed, variable)
    plan = make_plan(one, profile, TODAY)
    assert [step.due for step in plan.steps] == sorted(step.due for step in plan.steps)
    assert len({step.key for step in plan.steps}) == len(plan.steps)
    assert bool(plan.steps) == bool(left_of(one))
    trimmed = sum(step.amount or 0 for step in steps_of(plan, StepKind.TRIM_SPENDING))
    assert trimmed <= variable / 5
    for aside in steps_of(plan, StepKind.SET_ASIDE):
        assert aside.amount is not None
        assert aside.amount <= min(required_monthly(one, TODAY) or 0, profile.free + trimmed)


def test_the_same_facts_keep_the_plan_whatever_the_day() -> None:
    plan = make_plan(goal(), PROFILE, TODAY)
    later = date(2026, 12, 5)
    same = goal(target_amount=Decimal(6000))
    assert replan(plan, same, replace(PROFILE, monthly_income=Decimal("3000.00")), later) is plan
    assert replan(plan, goal(saved_amount=Decimal(2500)), PROFILE, later) is not plan


@pytest.mark.parametrize(
    "other",
    [
        (goal(saved_amount=Decimal(1)), PROFILE, ()),
        (goal(check_ins=check_ins((TODAY, 2400))), PROFILE, ()),
        (goal(), None, ()),
        (goal(), replace(PROFILE, dependants=1), ()),
        (goal(), PROFILE, (CARD,)),
    ],
)
def test_every_fact_is_in_the_digest(
    other: tuple[GoalFacts, ProfileFacts | None, tuple[DebtFact, ...]],
) -> None:
    assert digest_of(*other) != digest_of(goal(), PROFILE)


def test_the_order_in_which_debts_are_told_is_no_fact() -> None:
    assert digest_of(goal(), None, (CARD, LOAN)) == digest_of(goal(), None, (LOAN, CARD))


def test_settled_steps_stay_and_are_asked_for_again_only_when_done_with_another_amount() -> None:
    plan = make_plan(goal(), PROFILE, TODAY)
    plan = settle(plan, (StepKind.SET_ASIDE, 0), StepState.DONE)
    plan = settle(plan, (StepKind.CHECK_IN, 0), StepState.SKIPPED)
    plan = settle(plan, (StepKind.MILESTONE, 50), StepState.DONE)
    kept = [one for one in plan.steps if one.state is not StepState.OPEN]
    new = replan(plan, goal(saved_amount=Decimal(2500)), PROFILE, date(2026, 12, 5))
    assert new.digest != plan.digest
    assert list(new.steps[:3]) == kept
    assert [one.amount for one in steps_of(new, StepKind.SET_ASIDE)] == [
        Decimal("493.16"),
        required_monthly(goal(saved_amount=Decimal(2500)), date(2026, 12, 5)),
    ]
    assert len(steps_of(new, StepKind.CHECK_IN)) == 1
    assert [one.number for one in steps_of(new, StepKind.MILESTONE)] == [50, 75, 100]


def test_a_skipped_step_is_not_asked_for_again_with_another_amount() -> None:
    plan = settle(make_plan(goal(), PROFILE, TODAY), (StepKind.SET_ASIDE, 0), StepState.SKIPPED)
    new = replan(plan, goal(saved_amount=Decimal(2500)), PROFILE, date(2026, 12, 5))
    assert step_of(new, StepKind.SET_ASIDE).state is StepState.SKIPPED


def test_only_an_open_step_can_be_settled() -> None:
    plan = settle(make_plan(goal(), PROFILE, TODAY), (StepKind.CHECK_IN, 0), StepState.DONE)
    for key in ((StepKind.CHECK_IN, 0), (StepKind.INVEST, 0)):
        with pytest.raises(StepNotFound):
            settle(plan, key, StepState.SKIPPED)
