"""What a connector's configuration must be like."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict
from urllib.parse import SplitResult, urlsplit

from domain.connectors.entities import AuthType, ConnectorProtocol, HttpMethod, Venue
from domain.connectors.ports import ConnectorChecks
from domain.connectors.secrets import Secrets
from domain.errors import InvalidInput
from domain.texts import check_text

NAME_LIMIT = 200
URL_LIMIT = 2000
BODY_LIMIT = 64 * 1024
INTERVAL_MS = (100, 86_400_000)
DEFAULT_POLLING_INTERVAL_MS = 5_000
DEFAULT_STALE_AFTER_MS = 30_000
FRAMES_LIMIT = 100
FRAME_LIMIT = 64 * 1024
SECRET_LIMIT = 8 * 1024
PAIRS_LIMIT = 100
JSON_LIMIT = 64 * 1024

_PROTOCOLS = {
    "http": ConnectorProtocol.REST,
    "https": ConnectorProtocol.REST,
    "ws": ConnectorProtocol.WEBSOCKET,
    "wss": ConnectorProtocol.WEBSOCKET,
}
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_VENUE_DOMAINS = {
    "binance.com": Venue.BINANCE,
    "binance.us": Venue.BINANCE,
    "binance.vision": Venue.BINANCE,
    "binancefuture.com": Venue.BINANCE,
    "okx.com": Venue.OKX,
    "okx.cab": Venue.OKX,
    "okex.com": Venue.OKX,
    "coinbase.com": Venue.COINBASE,
}
_SECRETS_OF: dict[AuthType, tuple[tuple[str, str], ...]] = {
    AuthType.NONE: (),
    AuthType.API_KEY: (("api_key", "apiKey"),),
    AuthType.BEARER: (("bearer_token", "bearerToken"),),
    AuthType.HMAC: (("api_key", "apiKey"), ("api_secret", "apiSecret")),
    AuthType.BASIC: (("username", "username"),),
}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_OWN_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer")
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """All of a connector that is no secret, as its owner wants it; None venue and intervals take defaults."""

    name: str
    url: str
    venue: Venue | None = None
    method: HttpMethod = HttpMethod.GET
    body: str | None = None
    polling_interval_ms: int | None = None
    subscribe_frames: Sequence[str] = ()
    stale_after_ms: int = DEFAULT_STALE_AFTER_MS
    mapping: Mapping[str, Any] | None = field(default=None)
    auth_type: AuthType = AuthType.NONE
    signing: Mapping[str, Any] | None = field(default=None)


class ConfigurationPatch(TypedDict, total=False):
    """Changes to a configuration: what is missing stays; None takes the default or clears."""

    name: str
    url: str
    venue: Venue | None
    method: HttpMethod
    body: str | None
    polling_interval_ms: int | None
    subscribe_frames: Sequence[str]
    stale_after_ms: int
    mapping: Mapping[str, Any] | None
    auth_type: AuthType
    signing: Mapping[str, Any] | None


def protocol_of(url: str) -> ConnectorProtocol:
    """The protocol by the URL's scheme; raises InvalidInput for any other than http, https, ws, wss."""
    protocol = _PROTOCOLS.get(_split(url).scheme)
    if protocol is None:
        raise InvalidInput(field="url", reason="must begin with http://, https://, ws:// or wss://")
    return protocol


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: whom a source's secrets are for."""
    parts = _split(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def venue_of(url: str) -> Venue:
    """The venue by the URL's host: a venue's domain or any of its subdomains, else CUSTOM."""
    host = (_split(url).hostname or "").rstrip(".")
    for domain, venue in _VENUE_DOMAINS.items():
        if host == domain or host.endswith("." + domain):
            return venue
    return Venue.CUSTOM


def checked(
    configuration: Configuration, secrets: Secrets, checks: ConnectorChecks
) -> Configuration:
    """The configuration trimmed and with its defaults; raises InvalidInput naming the field at fault."""
    name, url = configuration.name.strip(), configuration.url.strip()
    check_text("name", name, 1, NAME_LIMIT)
    _check_url(url)
    protocol, venue = protocol_of(url), configuration.venue or venue_of(url)
    interval = configuration.polling_interval_ms
    if protocol is ConnectorProtocol.REST:
        interval = DEFAULT_POLLING_INTERVAL_MS if interval is None else interval
        _check_request(configuration, interval)
    else:
        _check_socket(configuration, venue)
    _check_range("staleAfterMs", configuration.stale_after_ms)
    check_secrets(configuration.auth_type, secrets, venue)
    _check_objects(configuration, venue, checks)
    return Configuration(
        name=name,
        url=url,
        venue=venue,
        method=configuration.method,
        body=configuration.body,
        polling_interval_ms=interval,
        subscribe_frames=list(configuration.subscribe_frames),
        stale_after_ms=configuration.stale_after_ms,
        mapping=configuration.mapping,
        auth_type=configuration.auth_type,
        signing=configuration.signing,
    )


async def check_source(url: str, checks: ConnectorChecks) -> None:
    """Raise InvalidInput for what is no source's URL, AddressRefused for one Penstock may not go to."""
    _check_url(url.strip())
    await checks.check_address(url.strip())


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError as error:
        raise InvalidInput(field="url", reason="is not a URL") from error
    return parts


def _check_url(url: str) -> None:
    check_text("url", url, 1, URL_LIMIT)
    protocol_of(url)
    parts = _split(url)
    if not parts.hostname:
        raise InvalidInput(field="url", reason="must name a host")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise InvalidInput(field="url", reason="must not contain spaces or control characters")
    if "\\" in url:
        raise InvalidInput(field="url", reason="must not contain backslashes")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            field="url", reason="must not carry credentials: give username and password"
        )
    if parts.fragment:
        raise InvalidInput(field="url", reason="must not have a fragment")


def _check_range(name: str, milliseconds: int) -> None:
    low, high = INTERVAL_MS
    if not low <= milliseconds <= high:
        raise InvalidInput(field=name, reason=f"must be from {low} to {high} milliseconds")


def _check_request(configuration: Configuration, interval: int) -> None:
    _check_range("pollingIntervalMs", interval)
    if configuration.subscribe_frames:
        raise InvalidInput(field="subscribeFrames", reason="belong to WebSocket sources")
    if configuration.body is not None:
        if configuration.method is HttpMethod.GET:
            raise InvalidInput(field="body", reason="a GET request has none")
        check_text("body", configuration.body, 0, BODY_LIMIT)


def _check_socket(configuration: Configuration, venue: Venue) -> None:
    for name, value in (
        ("pollingIntervalMs", configuration.polling_interval_ms),
        ("body", configuration.body),
    ):
        if value is not None:
            raise InvalidInput(field=name, reason="belongs to REST sources")
    if configuration.method is not HttpMethod.GET:
        raise InvalidInput(field="method", reason="a WebSocket source has none but GET")
    if len(configuration.subscribe_frames) > FRAMES_LIMIT:
        raise InvalidInput(field="subscribeFrames", reason=f"at most {FRAMES_LIMIT} frames")
    for at, frame in enumerate(configuration.subscribe_frames):
        check_text(f"subscribeFrames.{at}", frame, 1, FRAME_LIMIT)
        if venue is not Venue.CUSTOM and not _is_json(frame):
            raise InvalidInput(field=f"subscribeFrames.{at}", reason="is not JSON")


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def check_secrets(auth_type: AuthType, secrets: Secrets, venue: Venue) -> None:
    """Raise InvalidInput for secrets that cannot be sent as they are, or are not enough for the authentication."""
    for attribute, name in {pair for pairs in _SECRETS_OF.values() for pair in pairs} | {
        ("passphrase", "passphrase")
    }:
        value = getattr(secrets, attribute)
        if value is not None:
            check_text(name, value, 1, SECRET_LIMIT)
            if not _HEADER_VALUE.fullmatch(value):
                raise InvalidInput(field=name, reason="must be printable ASCII")
    needed = _SECRETS_OF[auth_type]
    if auth_type is AuthType.HMAC and venue in (Venue.OKX, Venue.COINBASE):
        needed = (*needed, ("passphrase", "passphrase"))
    for attribute, name in needed:
        if getattr(secrets, attribute) is None:
            raise InvalidInput(field=name, reason=f"is needed for {auth_type.name}")
    if auth_type is AuthType.BASIC and ":" in (secrets.username or ""):
        raise InvalidInput(field="username", reason="must not contain a colon")
    _check_pairs("headers", secrets.headers, _check_header)
    _check_pairs("queryParameters", secrets.query_parameters, _check_parameter)


def _check_pairs(
    name: str, pairs: Mapping[str, str], check: Callable[[str, str, str], None]
) -> None:
    if len(pairs) > PAIRS_LIMIT:
        raise InvalidInput(field=name, reason=f"at most {PAIRS_LIMIT}")
    for key, value in pairs.items():
        check(name, key, value)


def _check_header(path: str, name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name) or len(name) > NAME_LIMIT:
        raise InvalidInput(field=path, reason="has a name that is no header name")
    if name.lower() in _OWN_HEADERS:
        raise InvalidInput(field=f"{path}.{name}", reason="is set by Penstock itself")
    if len(value) > SECRET_LIMIT or not _HEADER_VALUE.fullmatch(value):
        raise InvalidInput(
            field=f"{path}.{name}", reason=f"must be printable ASCII of at most {SECRET_LIMIT}"
        )


def _check_parameter(path: str, name: str, value: str) -> None:
    check_text(path, name, 1, NAME_LIMIT)
    check_text(f"{path}.{name}", value, 0, SECRET_LIMIT)


def _check_objects(configuration: Configuration, venue: Venue, checks: ConnectorChecks) -> None:
    for name, value in (("mapping", configuration.mapping), ("signing", configuration.signing)):
        if value is not None and not isinstance(value, Mapping):
            raise InvalidInput(field=name, reason="must be an object")
        if value is not None and len(json.dumps(value)) > JSON_LIMIT:
            raise InvalidInput(field=name, reason=f"must be at most {JSON_LIMIT} bytes of JSON")
        if value is not None:
            check_text(name, json.dumps(value, ensure_ascii=False), 0, JSON_LIMIT)
    if configuration.mapping is not None:
        if venue is not Venue.CUSTOM:
            raise InvalidInput(field="mapping", reason="belongs to the CUSTOM venue")
        checks.check_mapping(configuration.mapping)
    if configuration.signing is not None:
        if configuration.auth_type is not AuthType.HMAC:
            raise InvalidInput(field="signing", reason="belongs to HMAC authentication")
        checks.check_signing(configuration.signing)
    elif configuration.auth_type is AuthType.HMAC and venue is Venue.CUSTOM:
        raise InvalidInput(field="signing", reason="is needed for HMAC at a CUSTOM venue")
