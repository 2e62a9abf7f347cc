import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl

import httpx
import pytest

from domain.connectors import AuthType, Connector, Secrets, Venue
from infra.feeds.signing import (
    BINANCE,
    COINBASE,
    OKX,
    CannotSign,
    check_signing,
    login_frame,
    sign,
    sign_handshake,
)
from tests.infra.feeds.factories import a_connector

# The key pair and the requests of Binance's documentation, "Request security".
BINANCE_SECRETS = Secrets(
    api_key="vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    api_secret="NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
)
BINANCE_TIME = datetime.fromtimestamp(1499827319.559, UTC)
NOW = datetime(2020, 12, 8, 9, 8, 57, 715_999, tzinfo=UTC)
KEYS = Secrets(api_key="the-key", api_secret="the-secret", passphrase="the-phrase")


def hmac_connector(venue: Venue = Venue.BINANCE, **changes: object) -> Connector:
    return a_connector("https://api.example.com/v", auth_type=AuthType.HMAC, venue=venue, **changes)


def plain(auth_type: AuthType, venue: Venue = Venue.CUSTOM) -> Connector:
    return a_connector("https://api.example.com/v", auth_type=auth_type, venue=venue)


def signed(connector: Connector, secrets: Secrets, method: str, url: str, body: str = "", now=NOW):
    return sign(connector, secrets, method, httpx.URL(url), body, now)


def test_binance_signs_the_query_as_its_documentation_shows() -> None:
    request = signed(
        hmac_connector(),
        BINANCE_SECRETS,
        "POST",
        "https://api.binance.com/api/v3/order?symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
        "&quantity=1&price=0.1",
        now=BINANCE_TIME,
    )
    assert request.url.query == (
        b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
        b"&timestamp=1499827319559"
        b"&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    )
    assert request.headers == {"X-MBX-APIKEY": BINANCE_SECRETS.api_key}


def test_binance_signs_query_and_body_together() -> None:
    scheme = {"template": "{query}{body}", "query": {"signature": "{signature}"}}
    request = signed(
        hmac_connector(signing=scheme),
        BINANCE_SECRETS,
        "POST",
        "https://api.binance.com/api/v3/order?symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC",
        "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
    )
    assert dict(parse_qsl(request.url.query.decode()))["signature"] == (
        "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    )


def test_okx_signs_time_method_path_with_query_and_body() -> None:
    request = signed(
        hmac_connector(Venue.OKX), KEYS, "GET", "https://www.okx.com/api/v5/account/balance?ccy=BTC"
    )
    text = b"2020-12-08T09:08:57.715ZGET/api/v5/account/balance?ccy=BTC"
    digest = hmac.new(b"the-secret", text, hashlib.sha256).digest()
    assert request.headers == {
        "OK-ACCESS-KEY": "the-key",
        "OK-ACCESS-SIGN": base64.b64encode(digest).decode(),
        "OK-ACCESS-TIMESTAMP": "2020-12-08T09:08:57.715Z",
        "OK-ACCESS-PASSPHRASE": "the-phrase",
    }


def test_okx_logs_a_socket_in_with_seconds_and_its_verify_path() -> None:
    connector = a_connector(
        "wss://ws.okx.com/ws/v5/private", auth_type=AuthType.HMAC, venue=Venue.OKX
    )
    frame = json.loads(login_frame(connector, KEYS, NOW) or "")
    digest = hmac.new(b"the-secret", b"1607418537GET/users/self/verify", hashlib.sha256).digest()
    assert frame == {
        "op": "login",
        "args": [
            {
                "apiKey": "the-key",
                "passphrase": "the-phrase",
                "timestamp": "1607418537",
                "sign": base64.b64encode(digest).decode(),
            }
        ],
    }
    handshake = sign_handshake(connector, KEYS, httpx.URL(connector.url), NOW)
    assert handshake.headers == {}


def test_a_login_frame_stays_json_whatever_the_secrets_hold() -> None:
    connector = a_connector("wss://ws.okx.com/", auth_type=AuthType.HMAC, venue=Venue.OKX)
    odd = Secrets(api_key='k"{signature}\\', api_secret="s", passphrase="p\u00e9")
    frame = json.loads(login_frame(connector, odd, NOW) or "")
    assert frame["args"][0]["apiKey"] == 'k"{signature}\\'


def test_coinbase_decodes_its_secret_first() -> None:
    secrets = Secrets(api_key="k", api_secret=base64.b64encode(b"raw").decode(), passphrase="p")
    request = signed(
        hmac_connector(Venue.COINBASE), secrets, "GET", "https://api.exchange.coinbase.com/accounts"
    )
    digest = hmac.new(b"raw", b"1607418537GET/accounts", hashlib.sha256).digest()
    assert request.headers["CB-ACCESS-SIGN"] == base64.b64encode(digest).decode()
    assert request.headers["CB-ACCESS-TIMESTAMP"] == "1607418537"


def test_a_binance_socket_only_shows_the_key() -> None:
    connector = a_connector("wss://stream.binance.com/ws", auth_type=AuthType.HMAC)
    handshake = sign_handshake(connector, KEYS, httpx.URL(connector.url), NOW)
    assert handshake.headers == {"X-MBX-APIKEY": "the-key"}
    assert handshake.url.query == b""


def test_a_recipe_of_ones_own_is_followed() -> None:
    scheme = {
        "template": "{method}\n{host}\n{path}\n{timestamp}\n{body}",
        "encoding": "hex",
        "secret_encoding": "hex",
        "timestamp": "seconds",
        "headers": {"X-Sign": "v1={signature}", "X-Key": "{key}"},
        "query": {"ts": "{timestamp}"},
    }
    secrets = Secrets(api_key="k", api_secret="00ff")
    request = signed(
        hmac_connector(Venue.CUSTOM, signing=scheme),
        secrets,
        "POST",
        "https://api.example.com/v?a=1",
        '{"x":1}',
    )
    text = b'POST\napi.example.com\n/v?a=1&ts=1607418537\n1607418537\n{"x":1}'
    digest = hmac.new(bytes.fromhex("00ff"), text, hashlib.sha256).hexdigest()
    assert request.headers == {"X-Sign": f"v1={digest}", "X-Key": "k"}
    assert request.url.query == b"a=1&ts=1607418537"


def test_secret_headers_and_parameters_are_added_before_signing() -> None:
    secrets = Secrets(
        api_key="k", api_secret="s", headers={"X-Team": "a"}, query_parameters={"q": "b c&d=é"}
    )
    request = signed(hmac_connector(), secrets, "GET", "https://api.example.com/v?symbol=X")
    query = request.url.query.decode()
    unsigned, _, signature = query.rpartition("&signature=")
    assert parse_qs(unsigned)["q"] == ["b c&d=é"]
    assert signature == hmac.new(b"s", unsigned.encode(), hashlib.sha256).hexdigest()
    assert request.headers["X-Team"] == "a"


@pytest.mark.parametrize(
    ("connector", "secrets", "headers"),
    [
        (plain(AuthType.NONE), KEYS, {}),
        (plain(AuthType.API_KEY), KEYS, {"X-API-Key": "the-key"}),
        (plain(AuthType.API_KEY, Venue.BINANCE), KEYS, {"X-MBX-APIKEY": "the-key"}),
        (plain(AuthType.BEARER), Secrets(bearer_token="t"), {"Authorization": "Bearer t"}),
        (
            plain(AuthType.BASIC),
            Secrets(username="Aladdin", password="open sesame"),
            {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},  # RFC 7617, section 2
        ),
    ],
)
def test_each_plain_kind_sends_its_header(connector: Connector, secrets: Secrets, headers) -> None:
    assert signed(connector, secrets, "GET", connector.url).headers == headers


@pytest.mark.parametrize(
    ("connector", "missing"),
    [
        (plain(AuthType.API_KEY), "api_key"),
        (plain(AuthType.BEARER), "bearer_token"),
        (plain(AuthType.BASIC), "username"),
        (hmac_connector(), "api_key"),
    ],
)
def test_a_missing_secret_is_named(connector: Connector, missing: str) -> None:
    with pytest.raises(CannotSign, match=f"{missing} is not set"):
        signed(connector, Secrets(), "GET", connector.url)


def test_a_secret_in_the_wrong_encoding_is_explained_without_showing_it() -> None:
    with pytest.raises(CannotSign) as caught:
        signed(
            hmac_connector(Venue.COINBASE),
            Secrets(api_key="k", api_secret="not base64!", passphrase="p"),
            "GET",
            "https://api.example.com/v",
        )
    assert "not base64!" not in str(caught.value)


def test_the_built_in_recipes_pass_the_check() -> None:
    for scheme in (BINANCE, OKX, COINBASE):
        told = {name: getattr(scheme, name) for name in scheme.__slots__}
        assert check_signing(told) == {}


@pytest.mark.parametrize(
    ("signing", "field"),
    [
        ({"algorithm": "md5"}, "algorithm"),
        ({"encoding": "base32"}, "encoding"),
        ({"encoding": ["hex"]}, "encoding"),
        ({"secret_encoding": "rot13"}, "secret_encoding"),
        ({"timestamp": "minutes"}, "timestamp"),
        ({"login_timestamp": "minutes"}, "login_timestamp"),
        ({"template": ""}, "template"),
        ({"template": 5}, "template"),
        ({"template": "{timestamp}{secret}"}, "template"),
        ({"template": "{signature}"}, "template"),
        ({"headers": ["X-Sign"]}, "headers"),
        ({"headers": {"X Sign": "{signature}"}}, "headers"),
        ({"headers": {"X-Sign": "a\r\nX-Evil: b"}}, "headers.X-Sign"),
        ({"headers": {"X-Sign": "{body}"}}, "headers.X-Sign"),
        ({"query": {"sig": 5}}, "query.sig"),
        ({"login": "{secret}"}, "login"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused_by_field(signing, field: str) -> None:
    assert list(check_signing(signing)) == [field]
