from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.connectors import ConnectorEvent as Event
from domain.connectors import ConnectorState as State
from domain.connectors import ConnectorStatus, as_of, next_state
from tests.factories import NOW, new_id

RESTING = (State.INACTIVE, State.STOPPED)


@pytest.mark.parametrize("state", State)
def test_a_user_can_start_and_stop_a_connector_in_any_state(state):
    assert next_state(state, Event.STARTED) is State.STARTING
    assert next_state(state, Event.STOPPED) is State.STOPPED


@pytest.mark.parametrize("state", RESTING)
@pytest.mark.parametrize(
    "event", [Event.CONNECTED, Event.FELL_SILENT, Event.DISCONNECTED, Event.FAILED]
)
def test_a_late_report_about_a_resting_connector_says_nothing(state, event):
    assert next_state(state, event) is None


def test_a_day_in_the_life():
    state = State.INACTIVE
    for event, expected in [
        (Event.STARTED, State.STARTING),
        (Event.CONNECTED, State.RUNNING),
        (Event.FELL_SILENT, State.STALE),
        (Event.DISCONNECTED, State.RECONNECTING),
        (Event.CONNECTED, State.RUNNING),
        (Event.FAILED, State.ERROR),
        (Event.CONNECTED, State.RUNNING),
        (Event.STOPPED, State.STOPPED),
    ]:
        state = next_state(state, event)
        assert state is expected


def test_only_a_connected_source_falls_silent():
    for state in (State.STARTING, State.RECONNECTING, State.ERROR):
        assert next_state(state, Event.FELL_SILENT) is None


@given(st.lists(st.sampled_from(Event)))
def test_a_connector_never_returns_to_inactive(events):
    state = State.INACTIVE
    for number, event in enumerate(events):
        state = next_state(state, event) or state
        assert state is not State.INACTIVE or not {Event.STARTED, Event.STOPPED} & set(
            events[: number + 1]
        )


def a_status(state: State, *, age: float = 60, lease: float | None = None) -> ConnectorStatus:
    """A status entered `age` seconds ago whose lease ends `lease` seconds from now."""
    return ConnectorStatus(
        connector_id=new_id(),
        workspace_id=new_id(),
        state=state,
        since=NOW - timedelta(seconds=age),
        message_rate=5.0,
        message_count=7,
        leased_until=None if lease is None else NOW + timedelta(seconds=lease),
    )


@pytest.mark.parametrize("state", [State.STARTING, State.RUNNING, State.STALE, State.RECONNECTING])
@pytest.mark.parametrize("lease", [None, -1.0])
def test_what_no_process_runs_any_more_is_inactive(state, lease):
    shown = as_of(a_status(state, lease=lease), NOW)
    assert (shown.state, shown.message_rate, shown.message_count) == (State.INACTIVE, 0.0, 7)
    assert shown.since == NOW - timedelta(seconds=60 if lease is None else 1)


def test_a_status_that_holds_is_shown_as_it_is():
    running, starting = a_status(State.RUNNING, lease=1), a_status(State.STARTING, age=9)
    resting = [a_status(state) for state in (*RESTING, State.ERROR)]
    for status in (running, starting, *resting):
        assert as_of(status, NOW) is status
