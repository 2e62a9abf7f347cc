import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.replay.tape import PAUSE_NS, Tape, Timing
from infra.replay.templates import SECOND, Draft


def draft(stream: str, recorded: float | None = None, snapshot: bool = False) -> Draft:
    moment = None if recorded is None else round(recorded * 1e9)
    return Draft(text=b"{}", rules={}, streams=(stream,), snapshot=snapshot, recorded_ns=moment)


def test_frames_come_as_far_apart_as_recorded_divided_by_the_speed() -> None:
    tape = Tape([draft("a", 5.0), draft("a", 7.0), draft("a", 7.5)], Timing(speed=2.0), 0)
    dues = [tape.due_ns(place) for place in range(5)]
    pause = PAUSE_NS // 2
    assert dues == [0, SECOND, SECOND * 5 // 4, SECOND * 5 // 4 + pause, SECOND * 9 // 4 + pause]


def test_a_recording_that_jumps_back_goes_on_after_a_pause() -> None:
    tape = Tape([draft("a", 100.0), draft("a", 3.0), draft("a", 4.0)], Timing(), 0)
    assert [tape.due_ns(place) for place in range(3)] == [0, PAUSE_NS, PAUSE_NS + SECOND]


@pytest.mark.parametrize("rate", [0.5, 10, 333, 250_000])
def test_a_rate_is_kept_over_many_passes(rate: float) -> None:
    tape = Tape([draft("a"), draft("b"), draft("a")], Timing(rate=rate), 0)
    assert tape.due_ns(3_000_000) == pytest.approx(3_000_000 / rate * SECOND, rel=1e-3)


@given(st.integers(0, 10**13), st.sampled_from([0.3, 7.0, 90_000.0]))
def test_the_place_after_a_moment_holds_the_first_frame_not_yet_due(now: int, rate: float) -> None:
    tape = Tape([draft("a"), draft("b"), draft("c")], Timing(rate=rate), 0)
    place = tape.place_after(now)
    assert tape.due_ns(place) > now
    assert place == 0 or tape.due_ns(place - 1) <= now


@given(st.integers(0, 50), st.sets(st.integers(0, 4), min_size=1))
def test_selected_places_are_found_forward_and_backward(place: int, chosen: set[int]) -> None:
    tape = Tape([draft(str(number)) for number in range(5)], Timing(rate=1), 0)
    selection = tape.selection([str(number) for number in chosen])
    expected = [at for at in range(200) if at % 5 in chosen]
    assert tape.next_of(selection, place) == next(at for at in expected if at >= place)
    before = [at for at in expected if at < place]
    assert tape.last_of(selection, place) == (before[-1] if before else None)


def test_a_late_subscriber_is_owed_everything_since_the_last_snapshot() -> None:
    drafts = [draft("b"), draft("a"), draft("b", snapshot=True), draft("b"), draft("a")]
    tape = Tape(drafts, Timing(rate=1), 0)
    assert tape.since_snapshot("b", 4) == [2, 3]
    assert tape.since_snapshot("b", 7) == [2, 3, 5]
    assert tape.since_snapshot("b", 9) == [7, 8]
    assert tape.since_snapshot("b", 2) == []
    assert tape.since_snapshot("a", 9) == []
