"""Which messages clients may save."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.messages import DATA_LIMIT_BYTES, SAVE_LIMIT, NewMessage, check_new_messages

GOOD = NewMessage(instrument="BTC-USDT")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"price": Decimal("0.1234567891234567"), "quantity": Decimal("-0")},
        {"price": Decimal("1E+99")},
        {"price": Decimal("1E-100")},
        {"data": '{"a": [1, 2.5e300, "\\ud800"]}'},
        {"data": '"' + "a" * (DATA_LIMIT_BYTES - 2) + '"'},
        {"exchange": "é", "sequence": "1"},
    ],
)
def test_these_can_be_saved(values: dict[str, Any]) -> None:
    check_new_messages([NewMessage(**{"instrument": "BTC-USDT", **values})])


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("instrument", {"instrument": " "}),
        ("instrument", {"instrument": "a" * 201}),
        ("instrument", {"instrument": "a\0"}),
        ("exchange", {"exchange": "\ud800"}),
        ("sequence", {"sequence": "1" * 201}),
        ("price", {"price": Decimal("NaN")}),
        ("price", {"price": Decimal("-Infinity")}),
        ("price", {"price": Decimal("1E+100")}),
        ("quantity", {"quantity": Decimal("1E-101")}),
        ("eventTime", {"event_time": datetime(2026, 1, 1)}),  # noqa: DTZ001
        ("data", {"data": ""}),
        ("data", {"data": "{'a': 1}"}),
        ("data", {"data": "NaN"}),
        ("data", {"data": "[-Infinity]"}),
        ("data", {"data": '"\ud800"'}),
        ("data", {"data": "[" * 30_000 + "]" * 30_000}),
        ("data", {"data": '"' + "a" * DATA_LIMIT_BYTES + '"'}),
        ("detail", {"detail": "{"}),
    ],
)
def test_these_cannot(field: str, values: dict[str, Any]) -> None:
    bad = NewMessage(**{"instrument": "BTC-USDT", **values})
    with pytest.raises(InvalidInput) as refusal:
        check_new_messages([GOOD, bad])
    assert refusal.value.field == f"messages.1.{field}"


@pytest.mark.parametrize("messages", [[], [GOOD] * (SAVE_LIMIT + 1)])
def test_their_number_is_limited(messages: Sequence[NewMessage]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_new_messages(messages)
    assert refusal.value.field == "messages"
    check_new_messages([GOOD] * SAVE_LIMIT)
