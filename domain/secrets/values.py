"""What a secret's name and value must be like, how it is sealed, and what may be shown of it."""

import re
from uuid import UUID

from domain.errors import InvalidInput
from domain.ports import Vault
from domain.secrets.entities import Secret

VALUE_LIMIT = 65_536
HIDDEN = "••••••••"
SHOWN = 4

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_.+/-]+={0,2}", re.ASCII)
_SHORTEST_KEY = 24
_DISTINCT = 10


def check_name(field: str, name: str) -> None:
    """Raise InvalidInput for what cannot be a secret's name."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            field=field,
            reason="must be a letter, then at most 99 letters, digits, dots, underscores or hyphens",
        )


def check_value(field: str, value: str) -> None:
    """Raise InvalidInput, which never quotes the value, for what cannot be a secret."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidInput(field=field, reason="is not valid Unicode") from None
    if not 1 <= size <= VALUE_LIMIT:
        raise InvalidInput(field=field, reason=f"must be from 1 to {VALUE_LIMIT} bytes")


def masked(value: str) -> str:
    """What may be shown: of a long random key its last four characters, which tell keys apart; else nothing.

    What a person may have thought of shows neither its end nor its length.
    """
    random = (
        len(value) >= _SHORTEST_KEY
        and len(set(value)) >= _DISTINCT
        and _KEY.fullmatch(value) is not None
        and any(character.isdigit() for character in value)
        and any(character.isalpha() for character in value)
    )
    return HIDDEN[:SHOWN] + value[-SHOWN:] if random else HIDDEN


def sealed(vault: Vault, id: UUID, value: str) -> bytes:
    """A value as the row of this secret keeps it, where alone it opens."""
    return vault.seal(value.encode(), id.bytes)


def opened(vault: Vault, secret: Secret) -> str:
    """The value; raises ValueError when no key of the ring opens it."""
    return vault.open(secret.sealed, secret.id.bytes).decode()
