import time

import pytest

from infra.redaction import Secrets, hide_named, redact

VALUE = "hunter2-hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"password={VALUE} rows=1",
        f"PASSWORD = '{VALUE}'",
        f'{{"password": "{VALUE}", "rows": 1}}',
        f'{{"password": "a\\"{VALUE}"}}',
        f'{{\\"api_key\\": \\"{VALUE}\\"}}',
        f"{{'apiKey': '{VALUE}'}}",
        f"Authorization: Bearer {VALUE}",
        f"Authorization: Basic {VALUE}==",
        f"sent Bearer {VALUE} to them",
        f"OK-ACCESS-SIGN: {VALUE}",
        f"OK-ACCESS-PASSPHRASE: {VALUE}",
        f"X-MBX-APIKEY: {VALUE}",
        f"https://host/path?symbol=BTC&signature={VALUE}&x=1",
        f"postgresql://user:{VALUE}@host/db",
        f"redis://:{VALUE}@host/0",
        f"wss://user:p@{VALUE}@host/ws",
        f"Set-Cookie: session={VALUE}; Path=/",
        f"refresh_token={VALUE}",
        f"api_secret: {VALUE}",
        f"secrets=['one', '{VALUE}'] rows=1",
        f"client_credentials => {VALUE}",
        f'password="{VALUE}',
    ],
)
def test_values_behind_secret_names_are_masked(text: str) -> None:
    assert VALUE not in hide_named(text)
    assert "***" in hide_named(text)


@pytest.mark.parametrize(
    "text",
    [
        "rows=3 instrument=BTC-USDT",
        "max_query_tokens=2000",
        "https://host:8000/path?symbol=BTC",
        "5 passed, compass: north, bypass=1",
        "2026-11-21T07:00:00Z started",
        "signed in at http://127.0.0.1:8000/graphql, mail me@example.com",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide_named(text) == text


def test_masking_by_name_takes_time_in_proportion_to_the_text() -> None:
    hostile = ["password" * 2000, "password=" * 2000, "://" * 5000, "secret:\\" * 2000, '"' * 16000]
    started = time.perf_counter()
    for text in hostile:
        hide_named(text)
    assert time.perf_counter() - started < 1


def test_a_known_value_that_holds_another_is_masked_whole() -> None:
    known = Secrets()
    known.add("abcdefgh", "abcdefgh-ijkl")
    assert redact("x abcdefgh-ijkl y abcdefgh z", known) == "x *** y *** z"


def test_known_values_are_bounded_and_the_newest_stay() -> None:
    known = Secrets(most=10)
    for number in range(100):
        known.add(f"secret-value-{number}")
    assert known.hide("secret-value-99") == "***"
    assert known.hide("secret-value-00") == "secret-value-00"
