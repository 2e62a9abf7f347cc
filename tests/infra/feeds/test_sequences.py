from hypothesis import given
from hypothesis import strategies as st

from infra.feeds.sequences import LARGEST, Sequences, StoredKey
from tests.infra.feeds.factories import a_tick


def numbered(first: int, last: int | None = None, stream: str = "trade"):
    last = first if last is None else last
    return a_tick(f"{stream}:{first}-{last}", (stream, first, last))


def stored(key: str, sequence: str | None = None) -> StoredKey:
    tick = a_tick(key)
    return StoredKey(key, tick.instrument, tick.type, sequence)


def holes(sequences: Sequences, *numbers: int) -> list[tuple[int, int]]:
    return [
        (hole.after, hole.before)
        for number in numbers
        for hole in sequences.admit([numbered(number)]).holes
    ]


@given(st.lists(st.integers(0, 50)), st.integers(1, 10))
def test_each_key_is_let_through_once(numbers: list[int], chunk: int) -> None:
    sequences = Sequences(window=100)
    ticks = [a_tick(str(number)) for number in numbers]
    admissions = [sequences.admit(ticks[at : at + chunk]) for at in range(0, len(ticks), chunk)]
    admitted = [tick.key for admission in admissions for tick in admission.ticks]
    assert admitted == list(dict.fromkeys(tick.key for tick in ticks))
    assert sum(admission.duplicates for admission in admissions) == len(ticks) - len(admitted)


def test_ticks_without_a_key_always_pass() -> None:
    assert len(Sequences().admit([a_tick(None), a_tick(None)]).ticks) == 2


def test_the_window_is_bounded_and_forgets_the_oldest_first() -> None:
    sequences = Sequences(window=3)
    for key in "abcd":
        sequences.admit([a_tick(key)])
    assert sequences.admit([a_tick("b")]).duplicates == 1
    assert sequences.admit([a_tick("a")]).duplicates == 0


def test_stored_keys_are_known_after_a_restart_and_the_newest_are_kept() -> None:
    sequences = Sequences(window=2)
    sequences.preload([stored(key) for key in ("newest", "middle", "oldest")])
    assert sequences.admit([a_tick("newest"), a_tick("middle")]).duplicates == 2
    assert sequences.admit([a_tick("oldest")]).duplicates == 0


def test_numbers_missed_over_a_restart_are_told_once_for_each_numbering() -> None:
    sequences = Sequences(reorder=100)
    late = stored("trade:6", "6")
    sequences.preload([late, stored("aggregate:50", "50"), stored("trade:7", "7")])
    found = [
        [(hole.after, hole.before) for hole in sequences.admit([tick]).holes]
        for tick in (
            numbered(10),
            numbered(51, stream="aggregate"),
            numbered(11),
            numbered(500, stream="unknown"),
        )
    ]
    assert found == [[(7, 10)], [], [], []]


def test_what_was_given_up_is_new_again() -> None:
    sequences = Sequences()
    sequences.admit([a_tick("a")])
    sequences.forget([a_tick("a"), a_tick("unknown"), a_tick(None)])
    assert sequences.admit([a_tick("a")]).duplicates == 0


def test_the_first_number_sets_the_base() -> None:
    assert holes(Sequences(), 1000, 1001) == []


def test_a_hole_is_told_once_and_late_arrivals_are_no_hole() -> None:
    assert holes(Sequences(), 1, 2, 5, 3, 4, 6) == [(2, 5)]


def test_numbering_that_begins_anew_sets_a_new_base() -> None:
    assert holes(Sequences(reorder=100), 5000, 1, 2, 4) == [(2, 4)]


def test_overlapping_ranges_make_no_hole() -> None:
    sequences = Sequences()
    found = [
        sequences.admit([numbered(*run)]).holes for run in ((1, 5), (4, 9), (10, 12), (14, 14))
    ]
    assert [[(hole.after, hole.before) for hole in some] for some in found] == [
        [],
        [],
        [],
        [(12, 14)],
    ]


def test_a_frame_may_list_its_ticks_newest_first() -> None:
    sequences = Sequences()
    sequences.admit([numbered(1)])
    assert sequences.admit([numbered(4), numbered(3), numbered(2)]).holes == []


def test_streams_have_numberings_of_their_own() -> None:
    sequences = Sequences()
    for number in (1, 2):
        assert sequences.admit([numbered(number), numbered(number + 900, stream="agg")]).holes == []


def test_numbers_the_database_cannot_hold_make_no_hole() -> None:
    sequences = Sequences()
    sequences.admit([numbered(1)])
    assert sequences.admit([numbered(LARGEST + 10)]).holes == []
    assert sequences.admit([numbered(-5, 7)]).holes == []


@given(st.permutations(range(1, 31)), st.sets(st.integers(1, 30)))
def test_holes_are_the_numbers_truly_missing_at_the_time(order: list[int], lost: set[int]) -> None:
    sequences = Sequences(reorder=1000)
    highest: int | None = None
    for number in order:
        if number in lost:
            continue
        expected = []
        if highest is not None and number > highest + 1:
            expected = [(highest, number)]
        assert holes(sequences, number) == expected
        highest = number if highest is None else max(highest, number)
