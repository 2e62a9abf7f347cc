"""Amounts of money: exact, in the currency's own decimals, rounded by one rule."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final

from domain.errors import InvalidInput
from domain.goals.errors import InvalidAmount
from domain.identity.places import CURRENCIES, check_currency

# ISO 4217, list one, 2026: decimals that are not two, and units that nobody splits or pays in.
_DECIMALS: Final = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
_WITHOUT_DECIMALS: Final = frozenset(
    ["XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XUA"]
)
_USUAL_DECIMALS = 2

MONEY: Final = CURRENCIES - _WITHOUT_DECIMALS

BEYOND: Final = Decimal(10) ** 18
"""More than any amount: a debt that nobody pays off grows no further."""


def check_money(field: str, code: str) -> str:
    """The code of a currency that amounts can be kept in; raises InvalidInput."""
    if check_currency(field, code) not in MONEY:
        raise InvalidInput(field=field, reason="is a metal or a unit of account, not a currency")
    return code


def decimals_of(currency: str) -> int:
    """How many decimals amounts in a currency have: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _DECIMALS.get(currency, _USUAL_DECIMALS)


def unit_of(currency: str) -> Decimal:
    """The smallest amount of a currency, its cent: 0.01 for EUR, 1 for JPY."""
    return Decimal(1).scaleb(-decimals_of(currency))


def check_amount(
    field: str, amount: Decimal, currency: str, *, most: Decimal, zero: bool = False
) -> Decimal:
    """The amount in the currency's own decimals; raises InvalidAmount.

    It must be above zero (or not below it, with `zero`), at most `most`, without fractions of a cent.
    """

    def refused(reason: str) -> InvalidAmount:
        return InvalidAmount(field=field, amount=amount, currency=currency, reason=reason)

    if not amount.is_finite():
        raise refused("is no number")
    if amount < 0 or (amount == 0 and not zero):
        raise refused("must not be negative" if zero else "must be positive")
    if amount > most:
        raise refused(f"must be at most {most:f}")
    decimals = decimals_of(currency)
    if amount != rounded(amount, currency):
        raise refused(f"has more decimals than {currency}, which has {decimals or 'none'}")
    return rounded(abs(amount), currency)  # -0 is 0


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The nearest amount in whole cents, halves away from zero: how interest and averages are rounded."""
    return amount.quantize(unit_of(currency), ROUND_HALF_UP)


def rounded_up(amount: Decimal, currency: str) -> Decimal:
    """The amount in whole cents that is not less: how needs are rounded."""
    return amount.quantize(unit_of(currency), ROUND_CEILING)


def rounded_down(amount: Decimal, currency: str) -> Decimal:
    """The amount in whole cents that is not more: how what may be spent is rounded."""
    return amount.quantize(unit_of(currency), ROUND_FLOOR)


def words(amount: Decimal, currency: str) -> str:
    """The amount as reasons tell it: 1,250.00 EUR."""
    return f"{rounded(amount, currency):,f} {currency}"
