"""How requests to a source are authenticated: pure, from a connector, its secrets, the request and the time."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx

from domain.connectors import AuthType, Connector, Secrets, Venue
from domain.positions import milliseconds_of

_PLACE = re.compile(r"\{([a-z_]+)\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SIGNED = frozenset({"timestamp", "method", "path", "query", "body", "host", "key", "passphrase"})
_SENT = frozenset({"timestamp", "key", "passphrase", "signature"})
_CHOICES = {
    "encoding": ("hex", "base64"),
    "secret_encoding": ("text", "hex", "base64"),
    "timestamp": ("seconds", "milliseconds", "iso"),
}
_TEXT_LIMIT = 2_000


class CannotSign(Exception):
    """A connector lacks a secret that its authentication needs, or the secret cannot be used."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """An HMAC SHA-256 recipe, as `Connector.signing` spells it; texts name values as `{place}`.

    `template` is the text that is signed: timestamp, method, path (with its query), query, body, host, key,
    passphrase. `headers` and `query` are added to the request, those that mention `{signature}` after signing.
    `login` is a WebSocket frame sent before the subscriptions, `login_template` what is signed for it.
    """

    template: str = "{timestamp}{method}{path}{body}"
    encoding: str = "hex"
    secret_encoding: str = "text"  # noqa: S105 - how the secret is written, not a secret
    timestamp: str = "milliseconds"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    login: str | None = None
    login_template: str = "{timestamp}GET/users/self/verify"
    login_timestamp: str = "seconds"


# https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
BINANCE = Scheme(
    template="{query}{body}",
    headers={"X-MBX-APIKEY": "{key}"},
    query={"recvWindow": "5000", "timestamp": "{timestamp}", "signature": "{signature}"},
)
# https://www.okx.com/docs-v5/en/#overview-rest-authentication and #overview-websocket-login
OKX = Scheme(
    encoding="base64",
    timestamp="iso",
    headers={
        "OK-ACCESS-KEY": "{key}",
        "OK-ACCESS-SIGN": "{signature}",
        "OK-ACCESS-TIMESTAMP": "{timestamp}",
        "OK-ACCESS-PASSPHRASE": "{passphrase}",
    },
    login='{"op":"login","args":[{"apiKey":"{key}","passphrase":"{passphrase}",'
    '"timestamp":"{timestamp}","sign":"{signature}"}]}',
)
# https://docs.cdp.coinbase.com/exchange/docs/rest-auth
COINBASE = Scheme(
    encoding="base64",
    secret_encoding="base64",  # noqa: S106 - how the secret is written, not a secret
    timestamp="seconds",
    headers={
        "CB-ACCESS-KEY": "{key}",
        "CB-ACCESS-SIGN": "{signature}",
        "CB-ACCESS-TIMESTAMP": "{timestamp}",
        "CB-ACCESS-PASSPHRASE": "{passphrase}",
    },
)
SCHEMES = {Venue.BINANCE: BINANCE, Venue.OKX: OKX, Venue.COINBASE: COINBASE}
KEY_HEADERS = {
    Venue.BINANCE: "X-MBX-APIKEY",
    Venue.OKX: "OK-ACCESS-KEY",
    Venue.COINBASE: "CB-ACCESS-KEY",
}


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as it is to be sent: the URL with its final query, and the headers to add."""

    url: httpx.URL
    headers: dict[str, str]


def sign(
    connector: Connector, secrets: Secrets, method: str, url: httpx.URL, body: str, now: datetime
) -> Signed:
    """The request with the connector's own headers, parameters and authentication; raises CannotSign."""
    headers = dict(secrets.headers)
    url = _with_query(url, secrets.query_parameters)
    match connector.auth_type:
        case AuthType.NONE:
            pass
        case AuthType.BEARER:
            headers["Authorization"] = f"Bearer {_need(secrets, 'bearer_token')}"
        case AuthType.BASIC:
            user = f"{_need(secrets, 'username')}:{secrets.password or ''}"
            headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        case AuthType.API_KEY:
            headers |= _key_header(connector, secrets)
        case AuthType.HMAC:
            url, added = _sign_hmac(_scheme(connector), secrets, method, url, body, now)
            headers |= added
    return Signed(url, headers)


def sign_handshake(connector: Connector, secrets: Secrets, url: httpx.URL, now: datetime) -> Signed:
    """The WebSocket handshake: signed as a GET, unless the venue signs a login frame or only wants the key."""
    if connector.auth_type is AuthType.HMAC and not connector.signing:
        key = {} if _scheme(connector).login else _key_header(connector, secrets)
        return Signed(_with_query(url, secrets.query_parameters), dict(secrets.headers) | key)
    return sign(connector, secrets, "GET", url, "", now)


def login_frame(connector: Connector, secrets: Secrets, now: datetime) -> str | None:
    """The frame that logs a WebSocket in before it subscribes; None where there is none. Raises CannotSign."""
    if connector.auth_type is not AuthType.HMAC:
        return None
    scheme = _scheme(connector)
    if scheme.login is None:
        return None
    places = _places(scheme.login + scheme.login_template, secrets)
    places["timestamp"] = _timestamp(scheme.login_timestamp, now)
    places["signature"] = _hmac(scheme, secrets, _fill(scheme.login_template, places))
    return _fill(scheme.login, places, lambda text: json.dumps(text)[1:-1])


def check_signing(signing: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a connector's `signing`: the field at fault and why; empty when it can be used."""
    problems = {
        name: "is not a field of signing" for name in signing if name not in Scheme.__slots__
    }
    for name, choices in _CHOICES.items():
        if name in signing and signing[name] not in choices:
            problems[name] = f"must be one of {', '.join(choices)}"
    if signing.get("login_timestamp", "seconds") not in _CHOICES["timestamp"]:
        problems["login_timestamp"] = f"must be one of {', '.join(_CHOICES['timestamp'])}"
    for name, places in (("template", _SIGNED), ("login_template", _SIGNED), ("login", _SENT)):
        if signing.get(name) is not None:
            _check_text(problems, name, signing[name], places)
    for name in ("headers", "query"):
        _check_pairs(problems, name, signing.get(name, {}))
    return problems


def _check_text(problems: dict[str, str], name: str, text: Any, places: frozenset[str]) -> None:
    if not isinstance(text, str) or not 0 < len(text) <= _TEXT_LIMIT:
        problems[name] = f"must be a text of 1 to {_TEXT_LIMIT} characters"
        return
    unknown = sorted(set(_PLACE.findall(text)) - places)
    if unknown:
        problems[name] = f"{{{unknown[0]}}} is none of {', '.join(sorted(places))}"


def _check_pairs(problems: dict[str, str], name: str, pairs: Any) -> None:
    if not isinstance(pairs, Mapping) or len(pairs) > 20:
        problems[name] = "must be an object of at most 20 texts"
        return
    for key, text in pairs.items():
        if not isinstance(key, str) or not _HEADER_NAME.fullmatch(key):
            problems[name] = "has a name that cannot be sent"
        elif isinstance(text, str) and re.search(r"[\r\n\0]", text):
            problems[f"{name}.{key}"] = "must be one line"
        else:
            _check_text(problems, f"{name}.{key}", text, _SENT)


def _scheme(connector: Connector) -> Scheme:
    if connector.signing:
        try:
            return Scheme(**connector.signing)
        except TypeError:
            raise CannotSign("signing has a field that is not known") from None
    scheme = SCHEMES.get(connector.venue)
    if scheme is None:
        raise CannotSign("signing is not set, and the venue has no recipe of its own")
    return scheme


def _sign_hmac(
    scheme: Scheme, secrets: Secrets, method: str, url: httpx.URL, body: str, now: datetime
) -> tuple[httpx.URL, dict[str, str]]:
    texts = [scheme.template, *scheme.headers.values(), *scheme.query.values()]
    places = _places("".join(texts), secrets)
    places["timestamp"] = _timestamp(scheme.timestamp, now)
    before = {name: text for name, text in scheme.query.items() if "{signature}" not in text}
    url = _with_query(url, {name: _fill(text, places) for name, text in before.items()})
    places |= {
        "method": method,
        "path": url.raw_path.decode("ascii"),
        "query": url.query.decode("ascii"),
        "body": body,
        "host": url.host,
    }
    places["signature"] = _hmac(scheme, secrets, _fill(scheme.template, places))
    after = {name: _fill(text, places) for name, text in scheme.query.items() if name not in before}
    headers = {name: _fill(text, places) for name, text in scheme.headers.items()}
    return _with_query(url, after), headers


def _key_header(connector: Connector, secrets: Secrets) -> dict[str, str]:
    return {KEY_HEADERS.get(connector.venue, "X-API-Key"): _need(secrets, "api_key")}


def _with_query(url: httpx.URL, parameters: Mapping[str, str]) -> httpx.URL:
    if not parameters:
        return url
    added = urlencode(parameters).encode("ascii")
    return url.copy_with(query=b"&".join(part for part in (url.query, added) if part))


def _places(texts: str, secrets: Secrets) -> dict[str, str]:
    places = {}
    if "{key}" in texts:
        places["key"] = _need(secrets, "api_key")
    if "{passphrase}" in texts:
        places["passphrase"] = _need(secrets, "passphrase")
    return places


def _fill(
    text: str, places: Mapping[str, str], quote: Callable[[str], str] = lambda text: text
) -> str:
    return _PLACE.sub(lambda place: quote(places.get(place[1], place[0])), text)


def _hmac(scheme: Scheme, secrets: Secrets, text: str) -> str:
    secret = _need(secrets, "api_secret")
    try:
        match scheme.secret_encoding:
            case "base64":
                key = base64.b64decode(secret, validate=True)
            case "hex":
                key = bytes.fromhex(secret)
            case _:
                key = secret.encode()
    except (binascii.Error, ValueError):
        raise CannotSign(f"the secret is not {scheme.secret_encoding}") from None
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return digest.hex() if scheme.encoding == "hex" else base64.b64encode(digest).decode()


def _timestamp(form: str, now: datetime) -> str:
    match form:
        case "seconds":
            return str(int(now.timestamp()))
        case "iso":
            utc = now.astimezone(UTC).replace(tzinfo=None)
            return utc.isoformat(timespec="milliseconds") + "Z"
    return str(milliseconds_of(now))


def _need(secrets: Secrets, name: str) -> str:
    value: str | None = getattr(secrets, name)
    if not value:
        raise CannotSign(f"{name} is not set")
    return value
