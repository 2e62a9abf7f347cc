"""The life of a connector: which state follows which event."""

from enum import Enum

from domain.connectors.entities import ConnectorState


class ConnectorEvent(Enum):
    """What can happen to a connector."""

    STARTED = "started"
    CONNECTED = "connected"
    FELL_SILENT = "fell_silent"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    STOPPED = "stopped"


_AT_WORK = (
    ConnectorState.STARTING,
    ConnectorState.RUNNING,
    ConnectorState.STALE,
    ConnectorState.RECONNECTING,
)

_TRANSITIONS: dict[ConnectorEvent, dict[ConnectorState, ConnectorState]] = {
    ConnectorEvent.STARTED: dict.fromkeys(ConnectorState, ConnectorState.STARTING),
    ConnectorEvent.CONNECTED: dict.fromkeys(
        (*_AT_WORK, ConnectorState.ERROR), ConnectorState.RUNNING
    ),
    ConnectorEvent.FELL_SILENT: {
        ConnectorState.RUNNING: ConnectorState.STALE,
        ConnectorState.STALE: ConnectorState.STALE,
    },
    ConnectorEvent.DISCONNECTED: dict.fromkeys(
        (*_AT_WORK, ConnectorState.ERROR), ConnectorState.RECONNECTING
    ),
    ConnectorEvent.FAILED: dict.fromkeys((*_AT_WORK, ConnectorState.ERROR), ConnectorState.ERROR),
    ConnectorEvent.STOPPED: dict.fromkeys(ConnectorState, ConnectorState.STOPPED),
}


def next_state(state: ConnectorState, event: ConnectorEvent) -> ConnectorState | None:
    """The state after an event; None when it says nothing about a connector in this state.

    A process that reports late (`CONNECTED` for a connector stopped since) gets None and must keep quiet.
    """
    return _TRANSITIONS[event].get(state)
