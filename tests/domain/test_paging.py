import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.paging import PAGE_LIMIT, PAGE_SIZE, Page, Window, page, window


def fetch(items: list[int], asked: Window) -> Page[int]:
    """What a repository does: `size + 1` items in the window's own direction."""
    within = [
        item
        for item in items
        if (asked.after is None or item > int(asked.after))
        and (asked.before is None or item < int(asked.before))
    ]
    chosen = within[::-1] if asked.backward else within

    async def count() -> int:
        return len(items)

    return page(chosen[: asked.size + 1], asked, str, count)


SORTED = st.sets(st.integers(0, 1000), max_size=60).map(sorted)


@given(items=SORTED, size=st.integers(1, 70))
def test_pages_forward_together_are_the_whole(items: list[int], size: int) -> None:
    seen: list[int] = []
    after = None
    while True:
        found = fetch(items, window(first=size, after=after))
        seen += [edge.node for edge in found.edges]
        assert found.page_info.has_previous_page is (after is not None)
        if not found.page_info.has_next_page:
            break
        after = found.page_info.end_cursor
    assert seen == items


@given(items=SORTED, size=st.integers(1, 70))
def test_pages_backward_together_are_the_whole(items: list[int], size: int) -> None:
    seen: list[int] = []
    before = None
    while True:
        found = fetch(items, window(last=size, before=before))
        seen = [edge.node for edge in found.edges] + seen
        if not found.page_info.has_previous_page:
            break
        before = found.page_info.start_cursor
    assert seen == items


@given(items=SORTED, low=st.integers(0, 1000), high=st.integers(0, 1000), size=st.integers(0, 70))
def test_after_and_before_bound_a_page_on_both_sides(
    items: list[int], low: int, high: int, size: int
) -> None:
    between = [item for item in items if low < item < high]
    first = fetch(items, window(first=size, after=str(low), before=str(high)))
    last = fetch(items, window(last=size, after=str(low), before=str(high)))
    assert [edge.node for edge in first.edges] == between[:size]
    assert [edge.node for edge in last.edges] == (between[-size:] if size else [])


def test_an_empty_page_has_no_cursors() -> None:
    found = fetch([], window())
    assert (found.page_info.start_cursor, found.page_info.end_cursor) == (None, None)
    assert not found.page_info.has_next_page
    assert not found.page_info.has_previous_page
    assert asyncio.run(found.count()) == 0


def test_the_page_size_has_a_default_and_a_limit() -> None:
    assert window().size == PAGE_SIZE
    assert window(first=PAGE_LIMIT).size == PAGE_LIMIT
    for name, value in (
        ("first", PAGE_LIMIT + 1),
        ("first", -1),
        ("last", PAGE_LIMIT + 1),
        ("last", -1),
    ):
        with pytest.raises(InvalidInput) as caught:
            window(**{name: value})
        assert caught.value.field == name


def test_first_and_last_exclude_each_other() -> None:
    with pytest.raises(InvalidInput):
        window(first=1, last=1)
