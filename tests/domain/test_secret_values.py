import string
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.secrets import Secret, check_name, masked, opened, sealed
from domain.secrets.values import HIDDEN, check_value
from infra.security.vault import KeyVault

VAULT = KeyVault([bytes(32)])
NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_.-]{0,99}\Z")
VALUES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
WORDS = st.text(string.ascii_letters + string.digits + " !", min_size=1, max_size=23)


@given(name=NAMES)
def test_names_of_secrets_are_taken(name):
    check_name("name", name)


@pytest.mark.parametrize("name", ["", "1st", "a b", "é", "a" * 101, "a\n", "-a", "a/b", "a:b"])
def test_other_names_are_refused(name):
    with pytest.raises(InvalidInput) as refused:
        check_name("name", name)
    assert refused.value.field == "name"


@pytest.mark.parametrize("value", ["x", "\0", "é" * 32_768, "a" * 65_536])
def test_values_up_to_64_kib_are_taken(value):
    check_value("value", value)


@pytest.mark.parametrize("value", ["", "é" * 32_769, "a" * 65_537, "marked\ud800"])
def test_other_values_are_refused_and_not_quoted(value):
    with pytest.raises(InvalidInput) as refused:
        check_value("value", value)
    assert "marked" not in refused.value.reason


@given(value=VALUES)
def test_at_most_the_last_four_of_twenty_four_characters_are_shown(value):
    shown = masked(value)
    assert shown == HIDDEN or (len(value) >= 24 and shown == "••••" + value[-4:])
    assert len(shown) == len(HIDDEN)


@given(value=WORDS)
def test_nothing_is_shown_of_what_a_person_may_have_thought_of(value):
    assert masked(value) == HIDDEN


@pytest.mark.parametrize(
    "value",
    [
        "correct horse battery staple 2024",
        "correcthorsebatterystaple",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa1234",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----",
        "123456789012345678901234567890",
    ],
)
def test_nothing_is_shown_of_phrases_and_patterns(value):
    assert masked(value) == HIDDEN


def test_the_end_of_a_long_random_key_tells_it_from_others():
    assert masked("sk_live_51HqLyjWDarjtT1zdp7dcABCD") == "••••ABCD"


@given(value=VALUES)
def test_a_sealed_value_opens_in_its_own_row_alone(value):
    id = uuid4()
    secret = Secret(id=id, sealed=sealed(VAULT, id, value))
    assert opened(VAULT, secret) == value
    secret.id = uuid4()
    with pytest.raises(ValueError, match="another row"):
        opened(VAULT, secret)
