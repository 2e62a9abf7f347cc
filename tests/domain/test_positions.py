import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.positions import (
    EPOCH,
    EPOCH_MS,
    MAX_ID,
    NODES,
    Minter,
    Position,
    first_id_at,
    milliseconds_of,
    node_of,
    time_of,
)

NODE = st.integers(0, NODES - 1)
MILLISECONDS = st.integers(EPOCH_MS, EPOCH_MS + 60 * 365 * 86_400_000)
IDS = st.integers(1, MAX_ID)
POSITIONS = st.lists(IDS, max_size=20).map(lambda ids: Position().advanced(ids))


@given(node=NODE, clock=st.lists(MILLISECONDS, min_size=1, max_size=50))
def test_minted_ids_rise_and_keep_their_node_whatever_the_clock_does(
    node: int, clock: list[int]
) -> None:
    minter = Minter(node)
    ids = [minter.mint(milliseconds) for milliseconds in clock]
    assert all(one < other for one, other in itertools.pairwise(ids))
    assert {node_of(id) for id in ids} == {node}
    assert all(
        time_of(id).timestamp() * 1000 >= milliseconds - 0.5
        for id, milliseconds in zip(ids, clock, strict=True)
    )


@given(node=NODE, milliseconds=MILLISECONDS)
def test_a_millisecond_with_more_messages_than_numbers_runs_into_the_next(
    node: int, milliseconds: int
) -> None:
    minter = Minter(node)
    ids = [minter.mint(milliseconds) for _ in range(5000)]
    assert len(set(ids)) == 5000
    assert ids == sorted(ids)
    assert {node_of(id) for id in ids} == {node}
    assert time_of(ids[-1]) - time_of(ids[0]) == timedelta(milliseconds=1)


@given(node=NODE, last_id=IDS, milliseconds=MILLISECONDS)
def test_a_node_never_falls_below_its_last_id(node: int, last_id: int, milliseconds: int) -> None:
    last_id = min(last_id, MAX_ID >> 1)
    id = Minter(node, last_id).mint(milliseconds)
    assert id > last_id
    assert node_of(id) == node


def test_a_node_that_does_not_exist_is_refused() -> None:
    for node in (-1, NODES):
        with pytest.raises(ValueError, match="node"):
            Minter(node)


@given(
    moment=st.integers(0, 56 * 365 * 86_400_000).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    node=NODE,
)
def test_the_first_id_at_a_time_parts_earlier_from_later_ids(moment: datetime, node: int) -> None:
    milliseconds = milliseconds_of(moment)
    first = first_id_at(moment)
    assert Minter(node).mint(milliseconds) >= first
    if milliseconds > EPOCH_MS:
        assert Minter(node).mint(milliseconds - 1) < first


def test_times_outside_the_range_of_ids_give_its_ends() -> None:
    assert first_id_at(EPOCH - timedelta(days=1)) == 0
    assert first_id_at(datetime(9999, 1, 1, tzinfo=UTC)) == MAX_ID


@given(position=POSITIONS)
def test_positions_survive_their_text(position: Position) -> None:
    assert Position.decode(position.encode()) == position
    assert hash(Position.decode(position.encode())) == hash(position)


@given(
    text=st.one_of(
        st.text(),
        st.binary().map(lambda raw: raw.hex()),
        POSITIONS.map(Position.encode).map(lambda text: text[:-1] + "!"),
    )
)
def test_text_that_is_no_cursor_is_refused_or_read_exactly(text: str) -> None:
    try:
        position = Position.decode(text)
    except ValueError:
        return
    assert position.encode() == text


@given(position=POSITIONS, ids=st.lists(IDS, max_size=20))
def test_advancing_has_seen_exactly_what_was_and_what_came(
    position: Position, ids: list[int]
) -> None:
    advanced = position.advanced(ids)
    assert all(advanced.has(id) for id in [*ids, *position.last.values()])
    assert all(
        advanced.of(node_of(id))
        == max(position.of(node_of(id)), *(i for i in ids if node_of(i) == node_of(id)))
        for id in ids
    )


@given(one=POSITIONS, other=POSITIONS)
def test_merging_is_the_later_of_both_in_any_order(one: Position, other: Position) -> None:
    merged = one.merged(other)
    assert merged == other.merged(one)
    assert merged.merged(one) == merged
    assert all(merged.has(id) for id in [*one.last.values(), *other.last.values()])
    assert set(merged.last.values()) <= set(one.last.values()) | set(other.last.values())
