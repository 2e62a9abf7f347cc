"""What a connector must never show: sealed at rest, opened only by the process that connects."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict
from urllib.parse import quote, quote_plus
from uuid import UUID

from domain.connectors.entities import Connector
from domain.ports import Vault

MASK = "***"
_SHORTEST_MASKED = 4
_SHORTEST_CREDENTIAL = 8
_PLAIN_HEADERS = frozenset(
    ("accept", "accept-encoding", "accept-language", "content-type", "origin", "user-agent")
)

FIELD_NAMES = {
    "api_key": "apiKey",
    "api_secret": "apiSecret",
    "passphrase": "passphrase",
    "bearer_token": "bearerToken",
    "username": "username",
    "password": "password",
    "headers": "headers",
    "query_parameters": "queryParameters",
}


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """A connector's secrets in the clear; never printed. `named` are those values that it refers to by a name."""

    api_key: str | None = None
    api_secret: str | None = None
    passphrase: str | None = None
    bearer_token: str | None = None
    username: str | None = None
    password: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query_parameters: Mapping[str, str] = field(default_factory=dict)
    named: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Secrets({', '.join(secret_fields(self))})"


class SecretsPatch(TypedDict, total=False):
    """Changes to secrets: what is missing stays, None clears; a None header or parameter goes away."""

    api_key: str | None
    api_secret: str | None
    passphrase: str | None
    bearer_token: str | None
    username: str | None
    password: str | None
    headers: Mapping[str, str | None] | None
    query_parameters: Mapping[str, str | None] | None


def fields_of(secrets: Secrets) -> dict[str, Any]:
    """What the fields hold, by attribute."""
    return {name: getattr(secrets, name) for name in FIELD_NAMES}


def merged(secrets: Secrets, patch: SecretsPatch) -> Secrets:
    """The secrets after a patch."""
    values = fields_of(secrets)
    for name, value in patch.items():
        if value is None:
            values[name] = {} if name in ("headers", "query_parameters") else None
        elif isinstance(value, Mapping):
            entries = {**values[name], **value}
            values[name] = {key: entry for key, entry in entries.items() if entry is not None}
        else:
            values[name] = value
    return Secrets(**values)


def kept_fields(secrets: Secrets, patch: SecretsPatch) -> list[str]:
    """Names of what is set and a patch neither sets again nor clears, as `secret_fields` names it."""
    kept: dict[str, Any] = {}
    for name, value in fields_of(secrets).items():
        if name not in patch:
            kept[name] = value
        elif isinstance(given := patch.get(name), Mapping):
            kept[name] = {key: entry for key, entry in value.items() if key not in given}
    return secret_fields(Secrets(**kept))


def secret_fields(secrets: Secrets) -> list[str]:
    """Names of what is set, as clients see them: `apiKey`, `headers.X-Key`."""
    names = []
    for name, value in fields_of(secrets).items():
        if isinstance(value, Mapping):
            names += [f"{FIELD_NAMES[name]}.{key}" for key in sorted(value)]
        elif value is not None:
            names.append(FIELD_NAMES[name])
    return names


def seal_secrets(vault: Vault, connector_id: UUID, secrets: Secrets) -> bytes | None:
    """Encrypt for this connector alone; None when nothing is set."""
    values = {name: value for name, value in fields_of(secrets).items() if value}
    return vault.seal(json.dumps(values).encode(), connector_id.bytes) if values else None


def open_secrets(vault: Vault, connector: Connector) -> Secrets:
    """A connector's secrets; raises ValueError when no key of the ring opens them."""
    return unsealed(vault, connector.id, connector.sealed)


def unsealed(vault: Vault, connector_id: UUID, sealed: bytes | None) -> Secrets:
    """What `seal_secrets` sealed for this connector; raises ValueError when no key of the ring opens it."""
    if sealed is None:
        return Secrets()
    return Secrets(**json.loads(vault.open(sealed, connector_id.bytes)))


def masked(text: str, secrets: Secrets) -> str:
    """`text` without any secret of at least 4 characters, as when a source echoes what it was sent.

    Also masked are the forms secrets are sent in: escaped in JSON or URLs, and HTTP Basic's base64.
    """
    for form in sorted(_forms(secrets), key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def credential_forms(secrets: Secrets) -> list[str]:
    """Texts that no frame may show, longest first: what opens a door, of at least 8 characters.

    Parameters, user names and headers that only describe a request are left out, unless they are named secrets: they
    are words of the data too.
    """
    headers = {
        name: value for name, value in secrets.headers.items() if name.lower() not in _PLAIN_HEADERS
    }
    forms = _forms(replace(secrets, username=None, headers=headers, query_parameters={}))
    long = {form for form in (*forms, _basic(secrets)) if len(form) >= _SHORTEST_CREDENTIAL}
    return sorted(long, key=len, reverse=True)


def _basic(secrets: Secrets) -> str:
    """What HTTP Basic authentication sends; empty without username and password."""
    if not (secrets.username or secrets.password):
        return ""
    return base64.b64encode(f"{secrets.username or ''}:{secrets.password or ''}".encode()).decode()


def _forms(secrets: Secrets) -> set[str]:
    values: list[str] = [_basic(secrets), *secrets.named]
    for value in fields_of(secrets).values():
        values += value.values() if isinstance(value, Mapping) else [value or ""]
    secret = [value for value in values if len(value) >= _SHORTEST_MASKED]
    return {
        form
        for value in secret
        for form in (
            value,
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            quote(value),
            quote(value, safe=""),
            quote_plus(value),
        )
    }
