import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infra.replay.spans import parse
from infra.replay.templates import SECOND, Draft, Mark, Role, compile_all

NUMBER = Mark(Role.NUMBER, "n")
MAIN = Mark(Role.TIME, main=True)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
SPACED = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:  ")])


def rendered(
    text: bytes, rules: dict[Any, Mark], turn: int = 0, due_ns: int | None = None
) -> bytes:
    [template] = compile_all([Draft(text=text, rules=rules)])
    return template.render(turn, template.anchor_ns if due_ns is None else due_ns)


@given(VALUES, SPACED, st.booleans())
def test_spans_find_every_value_of_any_json(value: Any, separators: Any, ascii: bool) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii).encode()
    parsed, spans = parse(text)
    for span in spans:
        at = parsed
        for part in span.path:
            at = at[part]
        quoted = span.scalar and isinstance(at, str)
        raw = text[span.start - quoted : span.end + quoted]
        assert json.loads(raw) == at
    assert len({span.path for span in spans}) == len(spans)


@given(
    VALUES, SPACED, st.integers(0, 10**9), st.integers(10**12, 4 * 10**12), st.integers(0, 10**6)
)
def test_rewriting_touches_nothing_but_the_marked_fields(
    other: Any, separators: Any, number: int, millis: int, turn: int
) -> None:
    frame = {"o": other, "n": number, "k": {"E": millis, "o": [other]}, "%d": other}
    text = json.dumps(frame, separators=separators).encode()
    rules = {("n",): NUMBER, ("k", "E"): MAIN}
    moved_by = 7_654_321
    anew = rendered(text, rules, turn, (millis + moved_by) * 1_000_000)
    expected = {**frame, "n": number + turn, "k": {"E": millis + moved_by, "o": [other]}}
    assert anew == json.dumps(expected, separators=separators).encode()
    assert rendered(text, rules) == text


def test_times_keep_their_own_format_and_precision() -> None:
    second = 1_700_000_000
    text = (
        b'{"s":"1600000000","ms":"1600000000123","us":1600000000123456,"iso":"2020-09-13T12:26:40Z",'
        b'"iso6":"2020-09-13T12:26:40.123456Z","iso9":"2020-09-13 12:26:40.123456789+00:00"}'
    )
    rules = {(name,): Mark(Role.TIME) for name in ("s", "ms", "us", "iso", "iso6", "iso9")}
    [template] = compile_all([Draft(text=text, rules=rules, recorded_ns=1_600_000_000 * SECOND)])
    assert template.render(0, second * SECOND) == (
        b'{"s":"1700000000","ms":"1700000000123","us":1700000000123456,"iso":"2023-11-14T22:13:20Z",'
        b'"iso6":"2023-11-14T22:13:20.123456Z","iso9":"2023-11-14 22:13:20.123456789+00:00"}'
    )


def test_what_is_no_time_or_number_stays() -> None:
    text = b'{"n":-1,"E":0}'
    assert rendered(text, {("n",): NUMBER, ("E",): MAIN}, 5, 10**18) == text


def test_numbers_of_a_group_go_on_after_its_last_one() -> None:
    texts = [b'{"U":10,"u":12}', b'{"U":13,"u":13}', b'{"U":14,"u":20}']
    rules = {("U",): NUMBER, ("u",): NUMBER}
    templates = compile_all([Draft(text=text, rules=rules) for text in texts])
    played = [json.loads(template.render(turn, 0)) for turn in range(3) for template in templates]
    for before, after in itertools.pairwise(played):
        assert after["U"] == before["u"] + 1


def test_numbers_that_point_back_stay_chained_across_passes() -> None:
    rules = {("id",): NUMBER, ("prev",): Mark(Role.NUMBER, "n", previous=True)}
    for first_previous in (90, -1):
        texts = [
            b'{"prev":%d,"id":100}' % first_previous,
            b'{"prev":100,"id":100}',
            b'{"prev":100,"id":130}',
        ]
        templates = compile_all([Draft(text=text, rules=rules) for text in texts])
        played = [
            json.loads(template.render(turn, 0)) for turn in range(3) for template in templates
        ]
        for before, after in itertools.pairwise(played):
            assert after["prev"] in (before["id"], -1)
        ids = [frame["id"] for frame in played]
        assert ids == sorted(ids)
        assert ids[3] > ids[2]


def test_numbers_of_different_scopes_have_their_own_strides() -> None:
    rules = {("t", "*", "id"): Mark(Role.NUMBER, "n", by="p")}
    text = b'{"t":[{"p":"A","id":1},{"p":"B","id":1000},{"p":"A","id":4}]}'
    [template] = compile_all([Draft(text=text, rules=rules)])
    assert template.render(1, 0) == b'{"t":[{"p":"A","id":5},{"p":"B","id":1001},{"p":"A","id":8}]}'


@given(st.integers(0, 10**10))
def test_candles_stay_on_their_grid_and_hold_their_frame(later_ms: int) -> None:
    minute = 60_000
    text = b'{"E":1633998523963,"t":1633998480000,"T":1633998539999}'
    rules = {("E",): MAIN, ("t",): Mark(Role.START), ("T",): Mark(Role.START)}
    [template] = compile_all([Draft(text=text, rules=rules, interval_ns=minute * 1_000_000)])
    frame = json.loads(template.render(0, (1633998523963 + later_ms) * 1_000_000))
    assert frame["E"] == 1633998523963 + later_ms
    assert frame["t"] % minute == 0
    assert frame["T"] == frame["t"] + minute - 1
    assert frame["t"] <= frame["E"] <= frame["T"]
