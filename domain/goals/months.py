"""Months as contributions count them: each ends on its last day, and a part of one counts by its days."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A month or a part of one, contributed for on its last day `due`: `days` of the month's `of`."""

    due: date
    days: int
    of: int

    @property
    def whole(self) -> bool:
        """Whether it is all of a month."""
        return self.days == self.of


def days_in(day: date) -> int:
    """How many days the month of a day has."""
    return monthrange(day.year, day.month)[1]


def month_end(day: date) -> date:
    """The last day of the month of a day."""
    return day.replace(day=days_in(day))


def months_later(day: date, months: int) -> date:
    """The same day some months later (or earlier), or that month's last day if it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def endless(after: date) -> Iterator[Stretch]:
    """The stretches that follow a day: the rest of its month, then month after month."""
    end, days = month_end(after), days_in(after)
    if after < end:
        yield Stretch(end, (end - after).days, days)
    while end.year < date.max.year:
        end = month_end(end + _DAY)
        yield Stretch(end, end.day, end.day)


def stretches(after: date, until: date) -> list[Stretch]:
    """The stretches that follow a day, until another: the last may be a part of a month as well.

    From 21 November to 15 January: 9 of November's 30 days, December, 15 of January's 31.
    """
    found: list[Stretch] = []
    for stretch in endless(after):
        if after >= until:
            break
        due = min(stretch.due, until)
        found.append(Stretch(due, (due - after).days, stretch.of))
        after = due
    return found


def months_of(parts: list[Stretch]) -> Decimal:
    """How many months the stretches are together, parts by their days."""
    return sum((Decimal(part.days) / part.of for part in parts), Decimal(0))
