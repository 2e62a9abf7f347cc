"""Domain enums made known to GraphQL; types annotate with the domain enum itself."""

from enum import Enum
from typing import Any

import strawberry

from domain import audit, connectors, identity, messages


def _describe(kind: type[Enum], description: str, values: dict[Any, str]) -> None:
    strawberry.enum(kind, description=description)
    definition = kind.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[kind[value.name]]


_describe(
    connectors.ConnectorProtocol,
    "How a source is read; follows from the scheme of its URL.",
    {
        connectors.ConnectorProtocol.REST: "Polled over HTTP at an interval.",
        connectors.ConnectorProtocol.WEBSOCKET: "Streamed over a WebSocket.",
    },
)
_describe(
    connectors.Venue,
    "Whose message formats a source speaks; follows from the host of its URL unless given.",
    {
        connectors.Venue.BINANCE: "Binance, spot and futures.",
        connectors.Venue.OKX: "OKX.",
        connectors.Venue.COINBASE: "Coinbase, Exchange and Advanced Trade.",
        connectors.Venue.CUSTOM: "Any other source of JSON, read by the connector's mapping.",
    },
)
_describe(
    connectors.HttpMethod,
    "The HTTP method of a poll.",
    {
        connectors.HttpMethod.GET: "GET, without a body.",
        connectors.HttpMethod.POST: "POST, with the connector's body.",
        connectors.HttpMethod.PUT: "PUT, with the connector's body.",
    },
)
_describe(
    connectors.AuthType,
    "How requests to a source are authenticated; each way needs its secrets.",
    {
        connectors.AuthType.NONE: "Not at all.",
        connectors.AuthType.API_KEY: "An API key in the venue's header. Needs `apiKey`.",
        connectors.AuthType.BEARER: "A bearer token. Needs `bearerToken`.",
        connectors.AuthType.HMAC: "A signature with HMAC-SHA256 over the venue's signing string. Needs `apiKey` and "
        "`apiSecret`; OKX and Coinbase also `passphrase`.",
        connectors.AuthType.BASIC: "HTTP Basic. Needs `username`.",
    },
)
_describe(
    connectors.ConnectorState,
    "Where a connector is in its life.",
    {
        connectors.ConnectorState.INACTIVE: "Run by no process: never started, or started while none is there.",
        connectors.ConnectorState.STARTING: "Started, not yet connected.",
        connectors.ConnectorState.RUNNING: "Connected, messages arrive.",
        connectors.ConnectorState.STALE: "Connected but silent for longer than `staleAfterMs`.",
        connectors.ConnectorState.RECONNECTING: "Lost its connection and is trying again.",
        connectors.ConnectorState.STOPPED: "Stopped by a user.",
        connectors.ConnectorState.ERROR: "Failed; `lastError` says why. Tried again until stopped.",
    },
)
_describe(
    messages.MessageType,
    "What a message tells.",
    {
        messages.MessageType.TRADE: "A trade: price, quantity, side.",
        messages.MessageType.TICKER: "A summary of the last 24 hours; price is the last one traded.",
        messages.MessageType.QUOTE: "The best bid and ask; price is their middle.",
        messages.MessageType.BOOK: "An order book or what changed in it.",
        messages.MessageType.CANDLE: "Open, high, low, close and volume of an interval; price is the close.",
        messages.MessageType.OTHER: "Anything else.",
    },
)
_describe(
    messages.Side,
    "Which side took liquidity: the aggressor's.",
    {
        messages.Side.BUY: "The buyer took it.",
        messages.Side.SELL: "The seller took it.",
    },
)
_describe(
    messages.MessageOrder,
    "The order of a page, by the time Penstock received the messages.",
    {
        messages.MessageOrder.NEWEST_FIRST: "The latest message first.",
        messages.MessageOrder.OLDEST_FIRST: "The earliest message first.",
    },
)
_describe(
    messages.DeliveryMode,
    "What a subscriber gets when messages come faster than it wants or can read.",
    {
        messages.DeliveryMode.EVERY: "Every message. A subscriber that falls too far behind gets a `Gap`.",
        messages.DeliveryMode.LATEST: "The newest message of each instrument, as fast as the subscriber reads.",
        messages.DeliveryMode.SAMPLE: "At most one message per instrument and interval: the newest.",
    },
)
_describe(
    messages.GapReason,
    "Why messages between two cursors were not sent.",
    {
        messages.GapReason.SLOW_CONSUMER: "The subscriber read too slowly. They are stored: query them, or subscribe "
        "again after `after`.",
        messages.GapReason.RETENTION: "They are too old and were removed.",
        messages.GapReason.RESET: "The cursor is not of this stream any more.",
        messages.GapReason.OVERLOAD: "The service could not keep up. They are stored.",
    },
)
_describe(
    messages.QuarantineReason,
    "Why a frame could not become messages.",
    {
        messages.QuarantineReason.MALFORMED: "It is not JSON.",
        messages.QuarantineReason.UNEXPECTED: "It is JSON, but of no known kind.",
        messages.QuarantineReason.INVALID_VALUE: "A value in it cannot be used, such as a price that is no number.",
        messages.QuarantineReason.TOO_LARGE: "It is larger than the limit; only its beginning is kept.",
    },
)
_describe(
    messages.QuarantineState,
    "Whether a quarantined frame was understood since.",
    {
        messages.QuarantineState.HELD: "Not yet understood.",
        messages.QuarantineState.REPLAYED: "Understood later, its messages stored.",
    },
)
_describe(
    identity.Role,
    "What a member is in a workspace; each may do all that the next one may.",
    {
        identity.Role.OWNER: "Whose it is: may delete it, hand it over and ask all for a second factor.",
        identity.Role.ADMIN: "Runs it: members, groups, secrets, API keys, the audit.",
        identity.Role.ANALYST: "Works in it: connectors and messages, and the secrets they use.",
        identity.Role.VIEWER: "Looks at it, and changes what is shared with a group of theirs.",
    },
)
_describe(
    identity.Permission,
    "A thing that can be allowed in a workspace.",
    {
        identity.Permission.READ_DATA: "See connectors, messages, members and groups.",
        identity.Permission.WRITE_DATA: "Save messages and replay the quarantine.",
        identity.Permission.MANAGE_CONNECTORS: "Create, change, start, stop, test and delete connectors.",
        identity.Permission.USE_SECRETS: "Refer to a secret by its name.",
        identity.Permission.MANAGE_SECRETS: "Set and delete secrets.",
        identity.Permission.MANAGE_API_KEYS: "Create, list and revoke API keys.",
        identity.Permission.MANAGE_MEMBERS: "Invite, change and remove members.",
        identity.Permission.MANAGE_GROUPS: "Change groups, and what is shared with them.",
        identity.Permission.READ_AUDIT: "Read the audit.",
        identity.Permission.MANAGE_WORKSPACE: "Change the workspace's own facts.",
        identity.Permission.OWN_WORKSPACE: "Delete it, hand it over, ask all for a second factor.",
    },
)
_describe(
    identity.Access,
    "What a share allows a group's members, beyond what their role allows.",
    {
        identity.Access.READ: "See it; list and use a secret.",
        identity.Access.WRITE: "Change it as well: configure and run a connector and save to it, set a secret.",
    },
)
_describe(
    identity.ResourceKind,
    "What can be shared with a group.",
    {
        identity.ResourceKind.CONNECTOR: "A connector.",
        identity.ResourceKind.SECRET: "A named secret.",
    },
)
_describe(
    audit.AuditOutcome,
    "How what was tried ended.",
    {
        audit.AuditOutcome.DONE: "It was done.",
        audit.AuditOutcome.REFUSED: "It was not allowed, or not possible as it was asked for.",
        audit.AuditOutcome.FAILED: "Something broke.",
    },
)
_describe(
    identity.SignInMethod,
    "How a session began.",
    {
        identity.SignInMethod.PASSWORD: "With the account's password.",
        identity.SignInMethod.OPENID_CONNECT: "At an OpenID provider.",
        identity.SignInMethod.OPERATOR: "By the service's operator, on its machine.",
    },
)
