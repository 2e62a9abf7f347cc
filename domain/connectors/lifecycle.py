"""The life of a connector: which state follows which event."""

from datetime import datetime, timedelta
from enum import Enum

from domain.connectors.entities import ConnectorState, ConnectorStatus

STARTING_GRACE = timedelta(seconds=10)
"""How long a started connector may wait for a process that takes it."""


class ConnectorEvent(Enum):
    """What can happen to a connector."""

    STARTED = "started"
    CONNECTED = "connected"
    FELL_SILENT = "fell_silent"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    STOPPED = "stopped"


AT_WORK = (
    ConnectorState.STARTING,
    ConnectorState.RUNNING,
    ConnectorState.STALE,
    ConnectorState.RECONNECTING,
)

_TRANSITIONS: dict[ConnectorEvent, dict[ConnectorState, ConnectorState]] = {
    ConnectorEvent.STARTED: dict.fromkeys(ConnectorState, ConnectorState.STARTING),
    ConnectorEvent.CONNECTED: dict.fromkeys(
        (*AT_WORK, ConnectorState.ERROR), ConnectorState.RUNNING
    ),
    ConnectorEvent.FELL_SILENT: {
        ConnectorState.RUNNING: ConnectorState.STALE,
        ConnectorState.STALE: ConnectorState.STALE,
    },
    ConnectorEvent.DISCONNECTED: dict.fromkeys(
        (*AT_WORK, ConnectorState.ERROR), ConnectorState.RECONNECTING
    ),
    ConnectorEvent.FAILED: dict.fromkeys((*AT_WORK, ConnectorState.ERROR), ConnectorState.ERROR),
    ConnectorEvent.STOPPED: dict.fromkeys(ConnectorState, ConnectorState.STOPPED),
}


def next_state(state: ConnectorState, event: ConnectorEvent) -> ConnectorState | None:
    """The state after an event; None when it says nothing about a connector in this state.

    A process that reports late (`CONNECTED` for a connector stopped since) gets None and must keep quiet.
    """
    return _TRANSITIONS[event].get(state)


def as_of(status: ConnectorStatus, now: datetime) -> ConnectorStatus:
    """A stored status as it holds at `now`: what nobody runs any more is INACTIVE, whatever was last reported."""
    if status.state not in AT_WORK:
        return status
    if status.leased_until is not None and status.leased_until >= now:
        return status
    if status.state is ConnectorState.STARTING and status.since > now - STARTING_GRACE:
        return status
    since = max(status.since, status.leased_until or status.since)
    ended = {"state": ConnectorState.INACTIVE, "since": since, "message_rate": 0.0}
    return ConnectorStatus(**status.model_dump() | ended)
