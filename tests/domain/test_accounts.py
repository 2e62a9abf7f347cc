"""The rules of accounts that need no database."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.identity import mails
from domain.identity.attempts import LONGEST_WAIT, attempts_key, wait_after
from domain.identity.passwords import check_password
from domain.identity.registration import clean_email, clean_name
from infra.security.vault import KeyVault
from infra.system import RandomIds
from tests.doors import door
from tests.factories import FixedClock

DOOR = door(KeyVault([bytes(32)]), FixedClock(), RandomIds())


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "must have 10 to 128 characters"),
        ("x" * 129, "must have 10 to 128 characters"),
        ("Password123", "is one of the most common passwords"),
        ("QWERTYUIOP", "is one of the most common passwords"),
        ("aaabbbaaabbb", "repeats too few characters"),
        ("ada@example.com", "must not be the e-mail address or the name"),
        ("ADA.EXAMPLE.com", "must not be the e-mail address or the name"),
        ("Ada L. Byron!", "must not be the e-mail address or the name"),
        ("nul\0nul\0nul\0nul", "must not contain a null character"),
    ],
)
def test_weak_passwords_are_refused(password: str, reason: str):
    with pytest.raises(InvalidInput) as refused:
        check_password(DOOR, "password", password, "ada@example.com", "Ada L Byron")
    assert (refused.value.field, refused.value.reason) == ("password", reason)


def test_a_password_may_be_any_text_that_is_long_enough():
    for password in (
        "correct horse battery",
        "pässwörter sind schwer",
        "密码很长很难猜到的是这个",
        "x1!" * 40 + "yzw",
    ):
        assert check_password(DOOR, "password", password, "ada@example.com", "Ada") == password


def test_a_password_is_the_same_however_its_accents_are_typed():
    composed = check_password(DOOR, "password", "caf\u00e9 au lait, deux", "a@b.c")
    assert check_password(DOOR, "password", "cafe\u0301 au lait, deux", "a@b.c") == composed


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "a b@example.com",
        "ada@example.com\nBcc: x@y.z",
        "é@x.com",
        "a" * 250 + "@x.com",
        "ada@-x.com",
        "ada@x..com",
        "<ada@example.com>",
        "ada@example.com,b@c.de",
    ],
)
def test_what_is_no_address_is_refused(email: str):
    with pytest.raises(InvalidInput):
        clean_email("email", email)


def test_an_address_is_compared_in_lower_case_without_blanks():
    assert clean_email("email", " Ada.Byron+x@Example.COM\n") == "ada.byron+x@example.com"
    assert attempts_key("Ada@x.com") == attempts_key("ada@x.com")


def test_a_name_has_no_control_characters():
    assert clean_name("name", "  Ada Byron ") == "Ada Byron"
    with pytest.raises(InvalidInput):
        clean_name("name", "Ada\x1b[31m")


@given(st.integers(min_value=0, max_value=10_000))
def test_the_wait_never_shrinks_with_more_failures_and_has_an_end(failures: int):
    assert wait_after(failures) <= wait_after(failures + 1) <= LONGEST_WAIT
    assert (wait_after(failures) == timedelta(0)) == (failures < 5)
    if 5 < failures < 14:
        assert wait_after(failures) == 2 * wait_after(failures - 1)


@given(st.text(alphabet=st.characters(codec="ascii"), min_size=1, max_size=60))
def test_a_link_carries_any_token_whole(token: str):
    link = mails.link("https://app.example.com", "verify-email", token)
    assert parse_qs(urlsplit(link).query, keep_blank_values=True)["token"] == [token]
