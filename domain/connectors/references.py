"""Connectors that refer to named secrets: which of their fields take which secret's value."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain import secrets as named
from domain.audit import Deed, record
from domain.connectors.entities import Connector
from domain.connectors.rules import origin_of
from domain.connectors.secrets import FIELD_NAMES, Secrets, SecretsPatch, fields_of
from domain.errors import InvalidInput
from domain.identity import Viewer
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Database, Vault

REFERENCES_LIMIT = 100
UNSEEN = "********"
"""Stands for a value that a change of a connector does not concern, where its form is checked."""

References = Mapping[str, str]
ReferencesPatch = Mapping[str, str | None] | None
"""What to refer to: field to name, None to refer no more; fields that are missing stay. None ends all."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A field, and the secret whose value it takes."""

    field: str
    secret: str


_PAIRS = ("headers", "query_parameters")
_ATTRIBUTES = {name: attribute for attribute, name in FIELD_NAMES.items()}


def references_of(connector: Connector) -> list[Reference]:
    """What a connector refers to, by field."""
    return [Reference(field, name) for field, name in sorted(connector.secret_references.items())]


def check_references(references: Mapping[str, str | None]) -> None:
    """Raise InvalidInput for fields that no connector has and names that no secret can have."""
    if len(references) > REFERENCES_LIMIT:
        raise InvalidInput(field="secretReferences", reason=f"at most {REFERENCES_LIMIT}")
    for number, (field, name) in enumerate(references.items()):
        first, dot, rest = field.partition(".")
        attribute = _ATTRIBUTES.get(first)
        if attribute is None or (attribute in _PAIRS) != bool(dot and rest):
            raise InvalidInput(
                field=f"secretReferences.{number}.field",
                reason=f"must be one of {', '.join(FIELD_NAMES.values())}, the last two with a dot and a name",
            )
        if name is not None:
            named.check_name(f"secretReferences.{number}.secret", name)


def referred(stored: References, secrets: SecretsPatch, references: ReferencesPatch) -> References:
    """What a connector refers to after a change: a value given, or cleared, takes the place of a reference.

    Raises InvalidInput for a field that is given both.
    """
    given = references or {}
    for field, name in given.items():
        if name is not None and _touches(secrets, field, with_value=True):
            raise InvalidInput(
                field="secretReferences", reason=f"{field} is given a value as well: give one"
            )
    kept = {} if references is None else stored
    after = {field: name for field, name in kept.items() if not _touches(secrets, field)}
    return {field: name for field, name in {**after, **given}.items() if name is not None}


def without(secrets: Secrets, references: References) -> Secrets:
    """The secrets that a connector keeps itself: those it does not refer to."""
    whole = fields_of(secrets)
    for path in references:
        attribute, key = _place(path)
        if key is None:
            whole[attribute] = None
        else:
            pairs = whole[attribute].items()
            whole[attribute] = {name: value for name, value in pairs if name != key}
    return Secrets(**whole)


def filled(secrets: Secrets, references: References, values: Mapping[str, str]) -> Secrets:
    """The secrets with the values, by name, of what is referred to; a value that is missing is a stand-in."""
    whole = fields_of(secrets)
    for field, name in references.items():
        attribute, key = _place(field)
        value = values.get(name, UNSEEN)
        if key is None:
            whole[attribute] = value
        else:
            whole[attribute] = {**whole[attribute], key: value}
    return Secrets(**whole, named=frozenset(values.values()))


@dataclass(frozen=True, slots=True)
class Admitted:
    """A secret that a viewer may have a connector refer to."""

    id: UUID
    value: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class SecretChanges:
    """Changes to a connector's own secrets and to those it refers to, all of which the viewer may use (see `admitted`)."""

    own: SecretsPatch = dataclasses.field(default_factory=SecretsPatch)
    references: ReferencesPatch = dataclasses.field(default_factory=dict)
    admitted: Mapping[str, Admitted] = dataclasses.field(default_factory=dict)

    @property
    def values(self) -> Mapping[str, str]:
        """The values of what it may refer to."""
        return {name: secret.value for name, secret in self.admitted.items()}

    def __bool__(self) -> bool:
        return bool(self.own) or self.references is None or bool(self.references)

    def __repr__(self) -> str:
        return f"SecretChanges({', '.join(self.own)})"


UNCHANGED = SecretChanges()


async def admitted(
    session: AsyncSession, vault: Vault, viewer: Viewer, references: ReferencesPatch
) -> Mapping[str, Admitted]:
    """What a viewer wants a connector to refer to, by name; kept from deletion until the transaction ends.

    Raises InvalidInput for a secret that does not exist, Forbidden for one that the viewer may not use.
    """
    check_references(references or {})
    names = {name for name in (references or {}).values() if name is not None}
    if not names:
        return {}
    await named.hold(session, viewer.workspace_id, names)
    found = await named.usable(session, viewer, names)
    for number, name in enumerate((references or {}).values()):
        if name is not None and name not in found:
            raise InvalidInput(
                field=f"secretReferences.{number}.secret",
                reason="names no secret of this workspace",
            )
    return {
        name: Admitted(secret.id, named.opened(vault, secret)) for name, secret in found.items()
    }


def note_references(session: AsyncSession, connector: Connector, secrets: SecretChanges) -> None:
    """Have it written down who lets a connector send a secret, and to which host."""
    for name, secret in secrets.admitted.items():
        fields = [field for field, at in connector.secret_references.items() if at == name]
        facts = {
            "name": name,
            "connector": str(connector.id),
            "fields": fields,
            "host": origin_of(connector.url)[1],
        }
        record(
            session,
            Deed(
                "referToSecret",
                workspace_id=connector.workspace_id,
                subject_type="Secret",
                subject_id=str(secret.id),
                facts=facts,
            ),
        )


async def using(database: Database, viewer: Viewer, name: str, window: Window) -> Page[Connector]:
    """A page of the viewer's connectors that refer to a secret, oldest first."""
    statement = select(Connector).where(_refers(viewer.workspace_id, name))
    keyset = Keyset[Connector](UUID, col(Connector.id), lambda item: item.id, newest_first=False)
    return await keyset.page(database, statement, window)


async def ids_using(session: AsyncSession, workspace_id: UUID, name: str) -> Sequence[UUID]:
    """The connectors that refer to a secret."""
    return (await session.exec(select(Connector.id).where(_refers(workspace_id, name)))).all()


@named.finds_users
async def names_using(session: AsyncSession, workspace_id: UUID, name: str) -> Sequence[str]:
    """The names of connectors that refer to a secret, in their order."""
    statement = select(Connector.name).where(_refers(workspace_id, name)).order_by(Connector.name)
    return (await session.exec(statement)).all()


def _refers(workspace_id: UUID, name: str) -> ColumnElement[bool]:
    pairs = func.json_each_text(col(Connector.secret_references)).table_valued("key", "value")
    return (col(Connector.workspace_id) == workspace_id) & (
        select(pairs.c.key).where(pairs.c.value == name).exists()
    )


def _touches(secrets: SecretsPatch, field: str, *, with_value: bool = False) -> bool:
    """Whether a patch sets (or also clears) the field itself."""
    attribute, key = _place(field)
    if attribute not in secrets:
        return False
    given = secrets.get(attribute)
    if key is not None and isinstance(given, Mapping):
        return key in given and (not with_value or given[key] is not None)
    return given is not None or not with_value


def _place(field: str) -> tuple[str, str | None]:
    """The attribute of `Secrets`, and the key of a header or query parameter."""
    first, _, key = field.partition(".")
    return _ATTRIBUTES[first], key or None
