"""Operations of whatever the schema has: every field selected to some depth, every argument filled, ids left to choose."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputType,
    GraphQLOutputType,
    GraphQLSchema,
    Undefined,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

from tests.infra.isolation.tenants import Tenant

DEPTH = 7
_TIME = "2026-11-21T12:00:00Z"


class CannotBuild(Exception):
    """An argument whose kind is not known: say above what fits, so that the operation is covered."""


@dataclass(frozen=True)
class Slot:
    """A place for something of a tenant: the kind, and which of them."""

    kind: str
    at: int

    def of(self, tenant: Tenant) -> str:
        values = tenant.values[self.kind]
        return values[self.at % len(values)]


@dataclass
class Operation:
    """A document and its variables, in which slots stand for what is a tenant's."""

    name: str
    document: str
    variables: dict[str, Any]
    slots: list[Slot] = field(default_factory=list)

    def variables_of(self, tenant: Tenant) -> dict[str, Any]:
        """The variables with the tenant's values in the slots."""
        filled: dict[str, Any] = _filled(self.variables, tenant)
        return filled


def _filled(value: Any, tenant: Tenant) -> Any:
    if isinstance(value, Slot):
        return value.of(tenant)
    if isinstance(value, dict):
        return {name: _filled(inner, tenant) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, tenant) for inner in value]
    return value


# Which objects' ids fit an argument, by its name; `id` alone goes by the operation's name.
_IDS: Mapping[str, tuple[str, ...]] = {
    "workspaceId": ("Workspace",),
    "connectorId": ("Connector",),
    "connectorIds": ("Connector",),
    "groupId": ("Group",),
    "userId": ("User",),
    "actorIds": ("User", "ApiKey"),
    "subjectId": ("Connector", "User"),
    "resourceId": ("Connector", "Secret"),
    "ids": ("QuarantinedFrame",),
}
_BY_OPERATION = {"node": None, "endSession": ("DeviceSession",)}
_OBJECTS = ("Workspace", "Connector", "Group", "ApiKey", "Invitation", "Secret", "User")
_STRINGS: Mapping[str, Callable[[Random], str]] = {
    "email": lambda draw: f"{draw.randbytes(8).hex()}@nowhere.example",
    "password": lambda _: "correct horse battery",
    "oldPassword": lambda _: "correct horse battery",
    "newPassword": lambda _: "another horse battery",
    "totp": lambda _: "123456",
    "token": lambda draw: draw.randbytes(32).hex(),
    "refreshToken": lambda draw: draw.randbytes(32).hex(),
    "code": lambda draw: draw.randbytes(32).hex(),
    "timeZone": lambda _: "UTC",
    "currency": lambda _: "EUR",
    "url": lambda _: "ws://127.0.0.1:9/ws",
    "value": lambda _: "a value",
    "field": lambda _: "apiKey",
    "description": lambda _: "words",
    "idempotencyKey": lambda draw: draw.randbytes(8).hex(),
}
_NAMED = {
    "name": "name",
    "secret": "name",
    "search": "mark",
    "exchange": "mark",
    "provider": "mark",
    "exchanges": "mark",
    "instrument": "instrument",
    "instruments": "instrument",
    "names": "instrument",
}
_CURSORS = {"messages": "edge", "messageBatches": "batch"}
_SCALARS: Mapping[str, Any] = {
    "Int": 5,
    "Long": 5,
    "Float": 1.5,
    "Boolean": True,
    "DateTime": _TIME,
    "Duration": "PT1S",
    "Decimal": "1.5",
    "JSON": {"price": "1"},
}
_LEFT_OUT = {
    "expectedVersion", "before", "last", "since", "until", "expiresAt", "type", "everywhere",
    "secondFactorRequired", "mapping", "actions", "subjectType", "outcomes", "venue", "method", "authType",
    "headers", "queryParameters", "body", "subscribeFrames", "staleAfterMs", "apiKey", "apiSecret",
    "passphrase", "bearerToken", "username", "parts", "signing", "pollingIntervalMs", "totp",
}  # fmt: skip


class Operations:
    """Makes operations; every random choice is `draw`'s."""

    def __init__(self, schema: GraphQLSchema, draw: Random) -> None:
        self._schema = schema
        self._draw = draw
        self._operation = ""

    def all(self) -> Iterator[tuple[str, str]]:
        """Kind and name of every operation that the schema has."""
        for kind in ("query", "mutation", "subscription"):
            root = getattr(self._schema, f"{kind}_type")
            for name in root.fields:
                yield kind, name

    def make(self, kind: str, name: str) -> Operation:
        """One operation; raises CannotBuild."""
        self._operation = name
        asked: GraphQLField = getattr(self._schema, f"{kind}_type").fields[name]
        variables, declared, passed = {}, [], []
        for argument, type in asked.args.items():
            value = self._argument(argument, type)
            if value is Undefined:
                continue
            variables[argument] = value
            declared.append(f"${argument}: {type.type}")
            passed.append(f"{argument}: ${argument}")
        head = f"({', '.join(declared)})" if declared else ""
        call = f"({', '.join(passed)})" if passed else ""
        selection = self._selection(asked.type, DEPTH, ())
        document = f"{kind}{head} {{ {name}{call}{selection} }}"
        return Operation(name, document, variables, list(_slots(variables)))

    def plain(self, kind: str, name: str) -> Operation:
        """The operation without its arguments, for all that it would show; with those that it must have."""
        asked = getattr(self._schema, f"{kind}_type").fields[name]
        if any(is_non_null_type(argument.type) for argument in asked.args.values()):
            return self.make(kind, name)
        selection = self._selection(asked.type, DEPTH, ())
        return Operation(name, f"{kind} {{ {name}{selection} }}", {})

    def _selection(self, type: GraphQLOutputType, depth: int, path: tuple[str, ...]) -> str:
        named: Any = get_named_type(type)
        if is_leaf_type(named):
            return ""
        if path.count(named.name) >= 1 or depth == 0:
            return " { __typename }"
        if is_abstract_type(named):
            parts = [
                f"... on {possible.name}{self._selection(possible, depth, path)}"
                for possible in self._schema.get_possible_types(named)
            ]
            return f" {{ __typename {' '.join(parts)} }}"
        fields = []
        for name, inner in named.fields.items():
            if any(
                is_non_null_type(a.type) and a.default_value is Undefined
                for a in inner.args.values()
            ):
                raise CannotBuild(f"{named.name}.{name} wants arguments")
            chosen = self._selection(inner.type, depth - 1, (*path, named.name))
            # Fragments of a union must not give one name to fields of two types.
            fields.append(f"{named.name}_{name}: {name}{chosen}")
        return f" {{ __typename {' '.join(fields)} }}"

    def _argument(self, name: str, input: GraphQLArgument | GraphQLInputField) -> Any:
        required = is_non_null_type(input.type)
        if not required and name in _LEFT_OUT:
            return Undefined
        if input.default_value is not Undefined and get_named_type(input.type).name != "ID":
            return Undefined
        likely = 0.8 if self._is_telling(name, input.type) else 0.3
        if not required and self._draw.random() > (0.3 if name == "after" else likely):
            return Undefined
        return self._value(name, input.type)

    def _is_telling(self, name: str, type: GraphQLInputType) -> bool:
        """Whether an argument can name what is another's, so that it is worth giving though it need not be."""
        named = get_named_type(type)
        if is_input_object_type(named):
            return any(self._is_telling(n, f.type) for n, f in named.fields.items())
        return named.name in ("ID", "UUID", "Cursor") or name in _NAMED

    def _value(self, name: str, given: GraphQLInputType) -> Any:
        type: Any = get_nullable_type(given)
        if name == "permissions":  # READ_DATA is asked for by itself, or everything is refused
            return sorted({"READ_DATA", self._draw.choice(sorted(get_named_type(type).values))})
        if is_list_type(type):
            return [self._value(name, type.of_type)]
        if is_input_object_type(type):
            return self._object(type)
        if is_enum_type(type):
            return self._draw.choice(sorted(type.values))
        if type.name == "Cursor":
            return Slot("position", self._draw.randrange(6))
        if name == "after":
            return Slot(_CURSORS.get(self._operation, "keyset"), self._draw.randrange(6))
        if type.name == "ID":
            return Slot(self._draw.choice(self._kinds(name)), self._draw.randrange(6))
        if type.name == "UUID":
            return Slot("uuid", self._draw.randrange(6))
        if type.name == "String":
            return self._text(name)
        if type.name in _SCALARS:
            return _SCALARS[type.name]
        raise CannotBuild(f"{self._operation}: {name}: {type}")

    def _object(self, type: Any) -> Any:
        fields = {}
        names = list(type.fields)
        if type.name == "TestConnectorInput":  # wants exactly one
            names = [self._draw.choice(names)]
        for name in names:
            value = self._argument(name, type.fields[name])
            if value is not Undefined:
                fields[name] = value
        return fields

    def _kinds(self, name: str) -> tuple[str, ...]:
        if name in _IDS:
            return _IDS[name]
        if name == "id":
            if self._operation == "node":
                possible = self._schema.get_possible_types(self._schema.type_map["Node"])  # type: ignore[arg-type]
                return tuple(sorted(type.name for type in possible))
            if self._operation in _BY_OPERATION:
                return _BY_OPERATION[self._operation] or ()
            for kind in _OBJECTS:
                if kind.lower() in self._operation.lower():
                    return (kind,)
        raise CannotBuild(f"{self._operation}: whose id is {name}?")

    def _text(self, name: str) -> Any:
        if name in _NAMED:
            return Slot(_NAMED[name], 0)
        if name in _STRINGS:
            return _STRINGS[name](self._draw)
        if name in (
            "industry",
            "location",
            "device",
            "subjectType",
            "actions",
            "sequence",
            "verifier",
        ):
            return "words"
        if name in (
            "body",
            "subscribeFrames",
            "apiKey",
            "apiSecret",
            "passphrase",
            "bearerToken",
            "username",
        ):
            return "{}"
        raise CannotBuild(f"{self._operation}: what does the text {name} say?")


def _slots(value: Any) -> Iterator[Slot]:
    if isinstance(value, Slot):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _slots(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _slots(inner)
