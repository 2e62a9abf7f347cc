"""Asks operations of the real schema as somebody, and makes answers comparable."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from domain.identity import ALL, Caller, Viewer
from schema.errors import top_level
from schema.root import schema
from tests.infra.isolation.documents import Operation
from tests.infra.isolation.tenants import Tenant
from tests.resolvers.world import World

_FRESH = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)|[0-9a-f]{16,}|[A-Za-z0-9_.-]{40,}|\b\d{15,}\b|\d+\.\d+"
)
INTERNAL = "INTERNAL"


@dataclass(frozen=True)
class Answer:
    """What a client reads; `bugs` are errors that it would read as internal ones."""

    data: Any
    errors: list[Any]
    bugs: list[BaseException]

    @property
    def text(self) -> str:
        return orjson.dumps([self.data, self.errors], default=str).decode()


async def ask(world: World, operation: Operation, viewer: Viewer | None, tenant: Tenant) -> Answer:
    """Ask with a tenant's values in the slots, as a viewer."""
    context = world.services.context(Caller(viewer, "request-1"))
    result: Any = await schema.execute(
        operation.document, operation.variables_of(tenant), context_value=context
    )
    errors, bugs = [], []
    for error in result.errors or ():
        told = top_level(error.original_error)
        if told is None and error.original_error is not None:
            bugs.append(error.original_error)
        path = list(error.path or ())
        errors.append([INTERNAL, path] if told is None else [*told, path])
    said = orjson.loads(orjson.dumps([result.data, errors], default=str))
    return Answer(said[0], said[1], bugs)


def forged(viewer: Viewer, victim: Tenant) -> Viewer:
    """The viewer as no honest resolver sees them: in another's workspace, with every right. Who they are stays true."""
    groups = victim.viewers["viewer"].groups
    return replace(viewer, workspace_id=victim.workspace_id, permissions=ALL, groups=groups)


def comparable(answer: Answer, operation: Operation, asked: Tenant, own: Tenant) -> Any:
    """An answer in which what was asked for, what is one's own and what is new have names instead of values."""
    given = {slot.of(asked): f"<asked {at}>" for at, slot in enumerate(operation.slots)}
    given |= {key: name for value, name in given.items() if (key := _key(value))}
    names = sorted((own.labels | given).items(), key=lambda name: -len(name[0]))
    return _named([answer.data, answer.errors], names)


def _key(value: str) -> str | None:
    """The key in a global id."""
    try:
        kind, _, key = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # text of other kinds, and the errors of its decoders
        return None
    return key if kind and key else None


def _named(value: Any, names: Sequence[tuple[str, str]]) -> Any:
    if isinstance(value, dict):
        return {
            name: "<cursor>" if inner and name.lower().endswith("cursor") else _named(inner, names)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_named(inner, names) for inner in value]
    if isinstance(value, float):
        return "<measured>"
    if not isinstance(value, str):
        return value
    for known, name in names:
        value = value.replace(known, name)
    if (key := _key(value)) is not None and not value.startswith("<"):
        return f"<new {'key' if key else ''}>"
    return _FRESH.sub("<new>", value)


def leaks(answer: Answer, operation: Operation, asked: Tenant, victim: Tenant) -> list[str]:
    """Marks of the victim in an answer, but those that the question itself held."""
    text = answer.text
    for value in (slot.of(asked) for slot in operation.slots):
        text = text.replace(value, "")
        if (key := _key(value)) is not None:
            text = text.replace(key, "")
    return [marker for marker in victim.markers if marker in text]
