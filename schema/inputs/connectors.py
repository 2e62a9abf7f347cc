"""What clients send about connectors."""

import strawberry
from strawberry.scalars import JSON

from domain.connectors import AuthType, ConnectorProtocol, ConnectorState, HttpMethod, Venue

NAME = "A name unique in the workspace: 1 to 200 characters, trimmed."
URL = "Where the source is: `http(s)://` is polled, `ws(s)://` is streamed. At most 2000 characters, no credentials."
VENUE = "Whose formats the source speaks; null: what the URL's host says, else CUSTOM."
METHOD = "The HTTP method of a poll."
BODY = "The body of a POST or PUT poll, at most 64 KiB."
INTERVAL = "Milliseconds between polls: 100 to 86,400,000; null: 5,000. REST sources only."
FRAMES = (
    "Text frames sent on every connect, at most 100 of 64 KiB; JSON unless the venue is CUSTOM. "
    "WebSocket sources only."
)
STALE = "Milliseconds of silence after which the connector counts as stale: 100 to 86,400,000."
MAPPING = (
    "Where a CUSTOM source's JSON has what: JMESPath paths by field (`items`, `instrument`, `type`, `price`, "
    '`quantity`, `side`, `sequence`, `eventTime`), or `{"value": ...}` for a constant.'
)
AUTH = "How requests are authenticated."
SIGNING = (
    "The recipe of an HMAC-SHA256 signature, needed at a CUSTOM venue: `template` (what is signed), `encoding`, "
    "`secret_encoding`, `timestamp`, `headers`, `query`, `login`, `login_template`, `login_timestamp`. "
    "Texts name values as `{timestamp}`, `{method}`, `{path}`, `{query}`, `{body}`, `{key}`, `{signature}`."
)
API_KEY = "The API key. Write-only."
API_SECRET = "The API secret. Write-only."  # noqa: S105
PASSPHRASE = "The passphrase that OKX and Coinbase ask for. Write-only."  # noqa: S105
BEARER = "The bearer token. Write-only."
USERNAME = "The user name of HTTP Basic. Write-only."
PASSWORD = "The password of HTTP Basic, empty when unset. Write-only."  # noqa: S105
HEADERS = "Headers sent with every request or handshake, at most 100. Write-only."
PARAMETERS = "Query parameters added to the URL, at most 100. Write-only."
REFERENCES = (
    "Fields that take the value of a named secret instead of one of their own, at most 100. Needs `USE_SECRETS`, or a "
    "share of each secret. A running connector reconnects when the secret is set anew."
)
REFERENCES_MERGED = (
    " Those named are set or, with a null secret, ended; the others stay; null ends all. A value given for a field "
    "takes the place of its reference. With a URL of another host, name them again."
)
MERGED = " Those named are set or, with a null value, removed; the others stay; null removes all."
CLEARS = " Null clears it."
ID = "The connector's id."


@strawberry.input(
    description="Which connectors; all conditions must hold, an empty list asks for all."
)
class ConnectorFilter:
    """Conditions on connectors."""

    search: str | None = strawberry.field(
        default=None, description="Part of the name or URL, in any case."
    )
    protocols: list[ConnectorProtocol] | None = strawberry.field(
        default=None, description="Any of these protocols."
    )
    venues: list[Venue] | None = strawberry.field(default=None, description="Any of these venues.")
    states: list[ConnectorState] | None = strawberry.field(
        default=None, description="In any of these states."
    )
    enabled: bool | None = strawberry.field(default=None, description="Whether it is meant to run.")


@strawberry.input(description="A header or query parameter. Write-only: values never come back.")
class NamedSecretInput:
    """A name and its secret value."""

    name: str = strawberry.field(description="The name, as it is sent.")
    value: str | None = strawberry.field(
        default=None, description="The value; null removes it in an update."
    )


@strawberry.input(description="A field of a connector that takes the value of a named secret.")
class SecretReferenceInput:
    """A field and the secret it refers to."""

    field: str = strawberry.field(
        description="Which field: `apiKey`, `apiSecret`, `passphrase`, `bearerToken`, `username`, `password`, "
        "`headers.NAME` or `queryParameters.NAME`."
    )
    secret: str | None = strawberry.field(
        default=None,
        description="The name of a secret of the workspace; null, in an update, ends the reference.",
    )


@strawberry.input(description="A connector as it shall be.")
class CreateConnectorInput:
    """All of a connector."""

    name: str = strawberry.field(description=NAME)
    url: str = strawberry.field(description=URL)
    venue: Venue | None = strawberry.field(default=None, description=VENUE)
    method: HttpMethod = strawberry.field(default=HttpMethod.GET, description=METHOD)
    body: str | None = strawberry.field(default=None, description=BODY)
    polling_interval_ms: int | None = strawberry.field(default=None, description=INTERVAL)
    subscribe_frames: list[str] | None = strawberry.field(default=None, description=FRAMES)
    stale_after_ms: int = strawberry.field(default=30_000, description=STALE)
    mapping: JSON | None = strawberry.field(default=None, description=MAPPING)
    auth_type: AuthType = strawberry.field(default=AuthType.NONE, description=AUTH)
    signing: JSON | None = strawberry.field(default=None, description=SIGNING)
    api_key: str | None = strawberry.field(default=None, description=API_KEY)
    api_secret: str | None = strawberry.field(default=None, description=API_SECRET)
    passphrase: str | None = strawberry.field(default=None, description=PASSPHRASE)
    bearer_token: str | None = strawberry.field(default=None, description=BEARER)
    username: str | None = strawberry.field(default=None, description=USERNAME)
    password: str | None = strawberry.field(default=None, description=PASSWORD)
    headers: list[NamedSecretInput] | None = strawberry.field(default=None, description=HEADERS)
    query_parameters: list[NamedSecretInput] | None = strawberry.field(
        default=None, description=PARAMETERS
    )
    secret_references: list[SecretReferenceInput] | None = strawberry.field(
        default=None, description=REFERENCES
    )


@strawberry.input(description="Changes to a connector: what is not given stays as it is.")
class UpdateConnectorInput:
    """A partial change."""

    id: strawberry.ID = strawberry.field(description=ID)
    expected_version: int | None = strawberry.field(
        default=None,
        description="Refuse with `StaleVersion` unless the connector has this version.",
    )
    name: strawberry.Maybe[str] = strawberry.field(description=NAME)
    url: strawberry.Maybe[str] = strawberry.field(description=URL)
    venue: strawberry.Maybe[Venue | None] = strawberry.field(description=VENUE)
    method: strawberry.Maybe[HttpMethod] = strawberry.field(description=METHOD)
    body: strawberry.Maybe[str | None] = strawberry.field(description=BODY + CLEARS)
    polling_interval_ms: strawberry.Maybe[int | None] = strawberry.field(description=INTERVAL)
    subscribe_frames: strawberry.Maybe[list[str]] = strawberry.field(description=FRAMES)
    stale_after_ms: strawberry.Maybe[int] = strawberry.field(description=STALE)
    mapping: strawberry.Maybe[JSON | None] = strawberry.field(description=MAPPING + CLEARS)
    auth_type: strawberry.Maybe[AuthType] = strawberry.field(description=AUTH)
    signing: strawberry.Maybe[JSON | None] = strawberry.field(description=SIGNING + CLEARS)
    api_key: strawberry.Maybe[str | None] = strawberry.field(description=API_KEY + CLEARS)
    api_secret: strawberry.Maybe[str | None] = strawberry.field(description=API_SECRET + CLEARS)
    passphrase: strawberry.Maybe[str | None] = strawberry.field(description=PASSPHRASE + CLEARS)
    bearer_token: strawberry.Maybe[str | None] = strawberry.field(description=BEARER + CLEARS)
    username: strawberry.Maybe[str | None] = strawberry.field(description=USERNAME + CLEARS)
    password: strawberry.Maybe[str | None] = strawberry.field(description=PASSWORD + CLEARS)
    headers: strawberry.Maybe[list[NamedSecretInput] | None] = strawberry.field(
        description=HEADERS + MERGED
    )
    query_parameters: strawberry.Maybe[list[NamedSecretInput] | None] = strawberry.field(
        description=PARAMETERS + MERGED
    )
    secret_references: strawberry.Maybe[list[SecretReferenceInput] | None] = strawberry.field(
        description=REFERENCES + REFERENCES_MERGED
    )


@strawberry.input(description="Which connector to delete.")
class DeleteConnectorInput:
    """A connector to forget."""

    id: strawberry.ID = strawberry.field(description=ID)


@strawberry.input(description="Which connector to start.")
class StartConnectorInput:
    """A connector to run."""

    id: strawberry.ID = strawberry.field(description=ID)


@strawberry.input(description="Which connector to stop.")
class StopConnectorInput:
    """A connector to rest."""

    id: strawberry.ID = strawberry.field(description=ID)


@strawberry.input(description="What to test; exactly one of these.", one_of=True)
class TestConnectorInput:
    """A stored connector, one with changes, or one not stored at all."""

    id: strawberry.Maybe[strawberry.ID] = strawberry.field(
        description="A connector as it is stored."
    )
    changes: strawberry.Maybe[UpdateConnectorInput] = strawberry.field(
        description="A stored connector, its secrets included, as it would be with these changes."
    )
    configuration: strawberry.Maybe[CreateConnectorInput] = strawberry.field(
        description="A connector that is not stored."
    )
