from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.connectors import (
    AuthType,
    Configuration,
    ConnectorProtocol,
    HttpMethod,
    Secrets,
    Venue,
    checked,
    protocol_of,
    venue_of,
)
from domain.errors import InvalidInput

REST, SOCKET = "https://api.example.com/prices", "wss://stream.example.com/ws"


class Checks:
    """Refuses what says so."""

    def check_mapping(self, mapping: Mapping[str, Any]) -> None:
        if "bad" in mapping:
            raise InvalidInput(field="mapping.bad", reason="is bad")

    def check_signing(self, signing: Mapping[str, Any]) -> None:
        if "bad" in signing:
            raise InvalidInput(field="signing.bad", reason="is bad")

    async def check_address(self, url: str) -> None:
        raise AssertionError("rules look nothing up")


def check(url: str = SOCKET, secrets: Secrets | None = None, **values: Any) -> Configuration:
    configuration = Configuration(**{"name": "Prices", "url": url, **values})
    return checked(configuration, secrets or Secrets(), Checks())


def refused(url: str = SOCKET, secrets: Secrets | None = None, **values: Any) -> str:
    with pytest.raises(InvalidInput) as raised:
        check(url, secrets, **values)
    return raised.value.field


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("http://a.example", ConnectorProtocol.REST),
        ("HTTPS://a.example", ConnectorProtocol.REST),
        ("ws://a.example", ConnectorProtocol.WEBSOCKET),
        ("wss://a.example/x?y=1", ConnectorProtocol.WEBSOCKET),
    ],
)
def test_the_protocol_follows_from_the_scheme(url, protocol):
    assert protocol_of(url) is protocol


@pytest.mark.parametrize(
    ("host", "venue"),
    [
        ("stream.binance.com:9443", Venue.BINANCE),
        ("data-stream.binance.vision", Venue.BINANCE),
        ("API.BINANCE.US", Venue.BINANCE),
        ("ws.okx.com:8443", Venue.OKX),
        ("okx.com.", Venue.OKX),
        ("ws-feed.exchange.coinbase.com", Venue.COINBASE),
        ("binance.com.evil.example", Venue.CUSTOM),
        ("notbinance.com", Venue.CUSTOM),
        ("api.example.com", Venue.CUSTOM),
        ("127.0.0.1:8000", Venue.CUSTOM),
    ],
)
def test_the_venue_follows_from_the_host(host, venue):
    assert venue_of(f"wss://{host}/ws") is venue


def test_a_venue_that_is_given_stands():
    assert check(venue=Venue.OKX).venue is Venue.OKX
    assert check("wss://ws.okx.com").venue is Venue.OKX


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "wss://",
        "wss:///path",
        "https://user:secret@example.com",
        "https://user@example.com",
        "https://exa mple.com",
        "https://example.com/\r\nX: y",
        "https://example.com:99999",
        "https://[::1",
        "https://example.com\\@evil.example",
        "https://example.com/#fragment",
        "https://example.com/\0",
        "https://example.com/\ud800",
        "https://example.com/" + "a" * 2000,
    ],
)
def test_what_is_no_usable_url_is_refused(url):
    assert refused(url) == "url"


@given(url=st.text(max_size=60))
def test_any_text_is_a_url_or_invalid_input(url):
    for candidate in (url, "https://" + url, "wss://host/" + url):
        with suppress(InvalidInput):
            assert check(candidate).url == candidate.strip()


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\0b", "\ud800"])
def test_a_name_is_1_to_200_characters(name):
    assert refused(name=name) == "name"


def test_a_name_is_trimmed():
    assert check(name="  é" + "x" * 199 + "\n").name == "é" + "x" * 199


def test_a_rest_source_polls_from_100_ms_to_a_day():
    assert check(REST).polling_interval_ms == 5000
    for interval in (100, 86_400_000):
        assert check(REST, polling_interval_ms=interval).polling_interval_ms == interval
    for interval in (99, 86_400_001, 0, -1):
        assert refused(REST, polling_interval_ms=interval) == "pollingIntervalMs"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"polling_interval_ms": 1000}, "pollingIntervalMs"),
        ({"body": "{}"}, "body"),
        ({"method": HttpMethod.POST}, "method"),
        ({"stale_after_ms": 99}, "staleAfterMs"),
        ({"stale_after_ms": 86_400_001}, "staleAfterMs"),
        ({"subscribe_frames": ["x"] * 101}, "subscribeFrames"),
        ({"subscribe_frames": ["x", ""]}, "subscribeFrames.1"),
        ({"subscribe_frames": ["x" * 65_537]}, "subscribeFrames.0"),
        ({"subscribe_frames": ["é" * 32_769]}, "subscribeFrames.0"),
        ({"subscribe_frames": ["{}", "{nonsense"], "venue": Venue.OKX}, "subscribeFrames.1"),
        ({"subscribe_frames": ["NaN"], "venue": Venue.BINANCE}, "subscribeFrames.0"),
        ({"subscribe_frames": ["[" * 60_000], "venue": Venue.BINANCE}, "subscribeFrames.0"),
        ({"mapping": {"price": "p"}, "venue": Venue.OKX}, "mapping"),
        ({"mapping": {"bad": "p"}}, "mapping.bad"),
        ({"mapping": ["price"]}, "mapping"),
        ({"mapping": {"price": "\0"}}, "mapping"),
        ({"mapping": {"price": "x" * 70_000}}, "mapping"),
        ({"signing": {"template": "{path}"}}, "signing"),
    ],
)
def test_what_does_not_fit_a_websocket_source_is_refused(values, field):
    assert refused(**values) == field


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"subscribe_frames": ["{}"]}, "subscribeFrames"),
        ({"body": "x"}, "body"),
        ({"body": "x" * 65_537, "method": HttpMethod.POST}, "body"),
    ],
)
def test_what_does_not_fit_a_rest_source_is_refused(values, field):
    assert refused(REST, **values) == field


def test_a_custom_source_may_be_sent_anything():
    assert check(subscribe_frames=["hello"]).subscribe_frames == ["hello"]


KEYS = {"api_key": "k", "api_secret": "s"}


@pytest.mark.parametrize(
    ("auth_type", "venue", "secrets", "missing"),
    [
        (AuthType.API_KEY, Venue.CUSTOM, {}, "apiKey"),
        (AuthType.BEARER, Venue.CUSTOM, {"api_key": "k"}, "bearerToken"),
        (AuthType.BASIC, Venue.CUSTOM, {"password": "p"}, "username"),
        (AuthType.HMAC, Venue.BINANCE, {"api_key": "k"}, "apiSecret"),
        (AuthType.HMAC, Venue.OKX, KEYS, "passphrase"),
        (AuthType.HMAC, Venue.COINBASE, KEYS, "passphrase"),
        (AuthType.HMAC, Venue.CUSTOM, KEYS, "signing"),
        (AuthType.BASIC, Venue.CUSTOM, {"username": "a:b"}, "username"),
        (AuthType.NONE, Venue.CUSTOM, {"api_key": ""}, "apiKey"),
        (AuthType.NONE, Venue.CUSTOM, {"bearer_token": "a\r\nX: y"}, "bearerToken"),
    ],
)
def test_each_authentication_needs_its_secrets(auth_type, venue, secrets, missing):
    assert refused(venue=venue, auth_type=auth_type, secrets=Secrets(**secrets)) == missing


def test_authentication_with_its_secrets_passes():
    hmac = Secrets(**KEYS, passphrase="p")
    for venue in (Venue.BINANCE, Venue.OKX, Venue.COINBASE):
        check(venue=venue, auth_type=AuthType.HMAC, secrets=hmac)
    check(auth_type=AuthType.HMAC, secrets=hmac, signing={"template": "{path}"})
    check(auth_type=AuthType.BASIC, secrets=Secrets(username="u"))
    assert refused(auth_type=AuthType.HMAC, secrets=hmac, signing={"bad": 1}) == "signing.bad"


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"X Y": "v"}, "headers"),
        ({"": "v"}, "headers"),
        ({"X:": "v"}, "headers"),
        ({"X-É": "v"}, "headers"),
        ({"X-Key": "a\r\nEvil: yes"}, "headers.X-Key"),
        ({"X-Key": "a\0"}, "headers.X-Key"),
        ({"X-Key": "é"}, "headers.X-Key"),
        ({"Host": "evil.example"}, "headers.Host"),
        ({"content-length": "5"}, "headers.content-length"),
        ({f"X-{number}": "v" for number in range(101)}, "headers"),
    ],
)
def test_headers_must_be_legal(headers, field):
    assert refused(REST, Secrets(headers=headers)) == field


def test_query_parameters_may_be_any_text_but_null_characters():
    check(REST, Secrets(query_parameters={"symbol": "BTC é &=\n"}))
    assert refused(REST, Secrets(query_parameters={"a": "\0"})) == "queryParameters.a"
    assert refused(REST, Secrets(query_parameters={"": "b"})) == "queryParameters"
