"""Why something about a goal could not be done."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from domain.errors import DomainError
from domain.errors import InvalidInput as InvalidInput
from domain.errors import NoFieldsToUpdate as NoFieldsToUpdate
from domain.errors import StaleVersion as StaleVersion
from domain.goals.facts import GoalStatus


@dataclass(eq=False)
class GoalNotFound(DomainError):
    """The user has no goal with this id (as the caller gave it)."""

    id: str


@dataclass(eq=False)
class GoalLimitReached(DomainError):
    """The user has as many active goals as anybody may."""

    current_count: int
    max_count: int


@dataclass(eq=False)
class InvalidGoalDate(DomainError):
    """A goal cannot have this target date."""

    date: dt.date
    reason: str


@dataclass(eq=False)
class InvalidCheckInDate(DomainError):
    """Nobody can check in on this day."""

    date: dt.date
    reason: str


@dataclass(eq=False)
class InvalidAmount(DomainError):
    """The amount is none that the field can hold in this currency."""

    field: str
    amount: Decimal
    currency: str
    reason: str


@dataclass(eq=False)
class GoalClosed(DomainError):
    """The goal is reached or abandoned, and does not change any more."""

    status: GoalStatus


@dataclass(eq=False)
class CheckInNotFound(DomainError):
    """The goal has no check-in with this id (as the caller gave it)."""

    id: str


@dataclass(eq=False)
class StepNotFound(DomainError):
    """The goal's action plan has no open step with this id (as the caller gave it)."""

    id: str
