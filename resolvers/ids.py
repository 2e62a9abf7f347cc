"""Relay's global ids: base64 of `Type:key`."""

from collections.abc import Iterable
from functools import lru_cache
from uuid import UUID

from strawberry.relay import GlobalID, GlobalIDValueError

from domain.errors import InvalidInput

LARGEST_KEY = (1 << 63) - 1


def parts(id: str) -> tuple[str, str]:
    """The type and the key in a global id; raises ValueError for what is none."""
    try:
        parsed = GlobalID.from_id(id)
    except (GlobalIDValueError, ValueError) as error:
        raise ValueError("not a global id") from error
    return parsed.type_name, parsed.node_id


def uuid_in(id: str, type_name: str) -> UUID | None:
    """The UUID in a global id of this type; None for any other text."""
    try:
        given, key = parts(id)
        return UUID(key) if given == type_name else None
    except ValueError:
        return None


def number_in(key: str) -> int | None:
    """A 63-bit key; None for any other text."""
    if not key.isascii() or not key.isdigit() or len(key) > 19 or int(key) > LARGEST_KEY:
        return None
    return int(key)


def uuids(field: str, ids: Iterable[str] | None, type_name: str) -> frozenset[UUID]:
    """The UUIDs in global ids of this type; raises InvalidInput naming the first that is none."""
    found = set()
    for at, id in enumerate(ids or ()):
        key = uuid_in(id, type_name)
        if key is None:
            raise InvalidInput(field=f"{field}.{at}", reason=f"is not the id of a {type_name}")
        found.add(key)
    return frozenset(found)


def connector_key(field: str, id: str | None) -> UUID | None:
    """The UUID in a connector's id, None for None; raises InvalidInput for any other text."""
    if id is None:
        return None
    key = uuid_in(id, "Connector")
    if key is None:
        raise InvalidInput(field=field, reason="is not the id of a Connector")
    return key


@lru_cache(maxsize=4096)
def global_id(type_name: str, key: UUID | int | str) -> str:
    """The global id of an object; remembered, as a page's messages are of few connectors."""
    return str(GlobalID(type_name=type_name, node_id=str(key)))
