import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.connectors import Secrets, filled, secret_fields
from domain.connectors.references import UNSEEN, check_references, referred, without
from domain.connectors.secrets import merged
from domain.errors import InvalidInput
from tests.domain.test_connector_secrets import all_secrets

FIELDS = ["apiKey", "password", "headers.X-Key", "headers.a.b", "queryParameters.token"]
references = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(["one", "two"]), max_size=4)


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"apikey": "one"}, "secretReferences.0.field"),
        ({"apiKey.x": "one"}, "secretReferences.0.field"),
        ({"apiKey": "one", "headers": "one"}, "secretReferences.1.field"),
        ({"headers.": "one"}, "secretReferences.0.field"),
        ({"url": "one"}, "secretReferences.0.field"),
        ({"apiKey": "no name"}, "secretReferences.0.secret"),
        ({f"headers.{number}": "one" for number in range(101)}, "secretReferences"),
    ],
)
def test_what_is_no_field_or_no_name_is_refused(given_, field):
    with pytest.raises(InvalidInput) as refused:
        check_references(given_)
    assert refused.value.field == field


@given(own=all_secrets, refers=references)
def test_what_is_referred_to_takes_its_places_and_leaves_the_others(own, refers):
    values = {"one": "first value", "two": "second value"}
    whole = filled(own, refers, values)
    assert set(secret_fields(whole)) == {*secret_fields(own), *refers}
    assert without(whole, refers) == without(own, refers)
    for field, name in refers.items():
        first, _, key = field.partition(".")
        place = {"headers": whole.headers, "queryParameters": whole.query_parameters}
        single = {"apiKey": whole.api_key, "password": whole.password}
        assert (place[first][key] if key else single[first]) == values[name]


def test_a_value_that_is_not_known_is_a_stand_in():
    assert filled(Secrets(), {"apiKey": "one"}, {}).api_key == UNSEEN


@given(before=references, change=references)
def test_a_change_keeps_what_it_does_not_name(before, change):
    assert referred(before, {}, change) == {**before, **change}
    assert referred(before, {}, {}) == before
    assert referred(before, {}, None) == {}
    assert referred(before, {}, dict.fromkeys(before)) == {}


def test_a_value_takes_the_place_of_a_reference_and_so_does_clearing():
    before = {"apiKey": "one", "headers.X-Key": "one", "queryParameters.token": "two"}
    patch = {"api_key": "mine", "headers": {"X-Key": None}, "query_parameters": None}
    assert referred(before, patch, {}) == {}
    assert referred(before, {"headers": {"X-Other": "v"}}, {}) == before


def test_a_reference_takes_the_place_of_a_value():
    after = referred({}, {}, {"apiKey": "one", "headers.X-Key": "one"})
    own = Secrets(api_key="mine", headers={"X-Key": "mine", "X-Other": "stays"})
    assert without(merged(own, {}), after) == Secrets(headers={"X-Other": "stays"})


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"api_key": "mine"}, "apiKey"),
        ({"headers": {"X-Key": "mine"}}, "headers.X-Key"),
    ],
)
def test_a_field_is_not_given_both_ways_at_once(patch, field):
    with pytest.raises(InvalidInput) as refused:
        referred({}, patch, {field: "one"})
    assert "mine" not in refused.value.reason
    assert refused.value.field == "secretReferences"


def test_clearing_a_value_and_referring_to_a_secret_go_together():
    patch = {"api_key": None, "headers": None}
    assert referred({}, patch, {"apiKey": "one"}) == {"apiKey": "one"}
