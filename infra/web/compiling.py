"""Compiles a selection of plain fields into one Python function that completes its values."""

import inspect
from binascii import b2a_base64
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from keyword import iskeyword
from types import CoroutineType, FunctionType
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLString,
    GraphQLUnionType,
    TypeNameMetaFieldDef,
    Undefined,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.executor import Executor
from graphql.pyutils import is_awaitable
from strawberry import relay
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

Complete: TypeAlias = Callable[[Any, Any], Any]
"""Completes a value, given GraphQL's info; raises anything for a value that the ordinary path must judge."""

ENCODING: Final = orjson.OPT_UTC_Z
"""How completed values must be encoded: times may be left for orjson to write."""

Composite: TypeAlias = GraphQLList[GraphQLOutputType] | GraphQLObjectType

FIELD_LIMIT: Final = 400
INERT_LIMIT: Final = 10_000
LIST_DEPTH_LIMIT: Final = 12

_NODE_ID = relay.Node._id.__func__  # noqa: SLF001
_RESOLVE_ID = relay.Node.resolve_id.__func__  # type: ignore[attr-defined]
_RESOLVE_TYPENAME = relay.Node.resolve_typename.__func__  # type: ignore[attr-defined]

# Classes whose instances are values: neither awaitable nor exceptions. Grows by the classes seen.
_INERT: set[type] = {
    *(str, int, float, bool, bytes, dict, list, tuple),
    *(Decimal, datetime, date, time, timedelta, UUID, orjson.Fragment),
}

# What a value of a built-in scalar must pass to need no coercion.
_PASSES: dict[GraphQLScalarType, str] = {
    GraphQLString: "type({0}) is str",
    GraphQLID: "type({0}) is str",
    GraphQLBoolean: "type({0}) is bool",
    GraphQLInt: "type({0}) is int and -2147483648 <= {0} <= 2147483647",
    GraphQLFloat: "type({0}) is float and {0} - {0} == 0.0",
}


class NotPlain(Exception):
    """The selection has a field that only GraphQL's ordinary path can complete."""


class Surprise(Exception):
    """A value is not what its type promises, so the ordinary path must complete and report it."""


def compile_selection(
    executor: Executor[Any], type_: Composite, details: FieldDetailsList
) -> Complete:
    """One function for the non-null values of a list or object type; raises NotPlain."""
    compiler = _Compiler(executor)
    compiler.complete("value", GraphQLNonNull(type_), details, 1)
    source = "\n".join(["def complete(value, info):", *compiler.lines, "    return value"])
    exec(compile(source, "<selection>", "exec"), compiler.names)  # noqa: S102 # of names and literals made here
    complete: Complete = compiler.names["complete"]
    return complete


def _admit(value: Any) -> None:
    kind = type(value)
    if value is None or value is Undefined or isinstance(value, Exception) or is_awaitable(value):
        raise Surprise
    if len(_INERT) < INERT_LIMIT and not hasattr(kind, "__getattr__"):
        _INERT.add(kind)


def _computed(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def compute(source: Any) -> Any:
        value = function(source)
        if isinstance(value, CoroutineType):
            value.close()  # the ordinary path asks for another
            raise Surprise
        return value

    return compute


def _leaf(type_: GraphQLLeafType) -> Callable[[Any], Any]:
    coerce = type_.coerce_output_value

    def complete(value: Any) -> Any:
        if type(value) not in _INERT:
            _admit(value)
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise Surprise
        return coerced

    return complete


class _Compiler:
    """Writes the body of one function, statement by statement; every value has a variable of its own."""

    def __init__(self, executor: Executor[Any]) -> None:
        self.executor = executor
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "Surprise": Surprise,
            "Undefined": Undefined,
            "admit": _admit,
            "UTC": UTC,
            "base64": b2a_base64,
            "datetime": datetime,
            "inert": _INERT,
        }
        self.fields = 0
        self.lists = 0

    def write(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def constant(self, value: Any) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def complete(
        self, name: str, type_: GraphQLOutputType, details: FieldDetailsList, depth: int
    ) -> None:
        """Statements that turn the variable `name` from a source value into its completed value."""
        nullable = not isinstance(type_, GraphQLNonNull)
        inner: Any = type_ if nullable else type_.of_type  # type: ignore[union-attr]
        if isinstance(inner, GraphQLScalarType | GraphQLEnumType):
            self.leaf(name, inner, nullable, depth)
            return
        if nullable:
            self.write(depth, f"if {name} is not None:")
            depth += 1
        if isinstance(inner, GraphQLList):
            self.list(name, inner, details, depth)
        elif isinstance(inner, GraphQLObjectType):
            self.object(name, inner, details, depth)
        else:
            self.abstract(name, inner, details, depth)

    def leaf(self, name: str, type_: GraphQLLeafType, nullable: bool, depth: int) -> None:
        unless_none = f" and {name} is not None" if nullable else ""
        leaf = self.constant(_leaf(type_))
        passes = _PASSES.get(type_) if isinstance(type_, GraphQLScalarType) else None
        if passes is not None:
            self.write(depth, f"if not ({passes.format(name)}){unless_none}:")
            self.write(depth + 1, f"{name} = {leaf}({name})")
        elif members := _members(type_):
            # Members are never freed, so an id is theirs alone; hashing an Enum is slower than this.
            table = self.constant(members)
            self.write(depth, f"e = {table}.get(id({name}))")
            self.write(depth, "if e is not None:")
            self.write(depth + 1, f"{name} = e")
            self.write(depth, f"elif {name} is not None:" if nullable else "else:")
            self.write(depth + 1, f"{name} = {leaf}({name})")
        else:
            coerce = self.constant(type_.coerce_output_value)
            word = "if"
            if _as_orjson_writes(type_):
                self.write(
                    depth,
                    f"if type({name}) is datetime and {name}.tzinfo is UTC and {name}.microsecond: pass",
                )
                word = "elif"
            self.write(depth, f"{word} type({name}) in inert:")
            self.write(depth + 1, f"{name} = {coerce}({name})")
            self.write(depth + 1, f"if {name} is None or {name} is Undefined: raise Surprise")
            self.write(depth, f"elif {name} is not None:" if nullable else "else:")
            self.write(depth + 1, f"{name} = {leaf}({name})")

    def list(
        self, name: str, type_: GraphQLList[Any], details: FieldDetailsList, depth: int
    ) -> None:
        self.lists += 1
        if self.lists > LIST_DEPTH_LIMIT:
            raise NotPlain
        items, item = f"{name}l", f"{name}i"
        # Any other iterable may be spent by one pass, and the ordinary path may need a second.
        self.write(depth, f"if type({name}) is not list and type({name}) is not tuple:")
        self.write(depth + 1, "raise Surprise")
        self.write(depth, f"{items} = []")
        self.write(depth, f"for {item} in {name}:")
        self.complete(item, type_.of_type, details, depth + 1)
        self.write(depth + 1, f"{items}.append({item})")
        self.write(depth, f"{name} = {items}")
        self.lists -= 1

    def abstract(
        self,
        name: str,
        type_: GraphQLInterfaceType | GraphQLUnionType,
        details: FieldDetailsList,
        depth: int,
    ) -> None:
        resolve = type_.resolve_type
        if resolve is None or inspect.iscoroutinefunction(resolve):
            raise NotPlain
        self.write(depth, f"if type({name}) not in inert: admit({name})")
        function, abstract = self.constant(resolve), self.constant(type_)
        self.write(depth, f"{name}t = {function}({name}, info, {abstract})")
        word = "if"
        possible_types = self.executor.schema.get_possible_types(type_)
        if not possible_types:
            raise NotPlain
        for possible in possible_types:
            self.write(depth, f"{word} {name}t == {possible.name!r}:")
            self.object(name, possible, details, depth + 1)
            word = "elif"
        self.write(depth, "else: raise Surprise")

    def object(
        self, name: str, type_: GraphQLObjectType, details: FieldDetailsList, depth: int
    ) -> None:
        is_type_of = type_.is_type_of
        if inspect.iscoroutinefunction(is_type_of):
            raise NotPlain
        self.write(depth, f"if type({name}) not in inert: admit({name})")
        if is_type_of is not None:
            self.write(depth, f"if {self.constant(is_type_of)}({name}, info) is not True:")
            self.write(depth + 1, "raise Surprise")
        selected = self.executor.collect_subfields(type_, details)
        if selected.new_defer_usages:
            raise NotPlain
        entries = []
        for key, field_details in selected.grouped_field_set.items():
            self.fields += 1
            if self.fields > FIELD_LIMIT or field_details[0].fragment_variable_values is not None:
                raise NotPlain
            entries.append(f"{key!r}: {self.field(name, type_, field_details, depth)}")
        self.write(depth, f"{name} = {{{', '.join(entries)}}}")

    def field(
        self, source: str, parent: GraphQLObjectType, details: FieldDetailsList, depth: int
    ) -> str:
        """Statements for one field of the variable `source`; gives the expression of its completed value."""
        field = self.executor.schema.get_field(parent, details[0].node.name.value)
        if field is TypeNameMetaFieldDef:
            return repr(parent.name)
        name = f"v{self.fields}"
        if field is None or (reading := self.reading(source, parent, field)) is None:
            raise NotPlain
        if reading == _GLOBAL_ID:
            self.global_id(name, source, parent, depth)
            return name
        self.write(depth, f"{name} = {reading}")
        self.complete(name, field.type, details, depth)
        return name

    def reading(self, source: str, parent: GraphQLObjectType, field: GraphQLField) -> str | None:
        """The expression that reads a field of a source; None when only its resolver can."""
        definition = field.extensions.get("strawberry-definition")
        if not isinstance(definition, StrawberryField) or definition.extensions or field.args:
            return None
        if type(definition).get_result is not StrawberryField.get_result:
            return None
        resolver = definition.base_resolver
        if resolver is None:
            if definition.default_resolver is not getattr:
                return None
            attribute = definition.python_name
            if not attribute.isidentifier() or iskeyword(attribute):
                return None
            return f"{source}.{attribute}"
        function = resolver.wrapped_func
        if getattr(function, "__func__", None) is _NODE_ID:
            return _GLOBAL_ID if _id_attribute(parent, field) else None
        parameters = list(resolver.signature.parameters)
        reserved = (resolver.parent_parameter, resolver.self_parameter, resolver.root_parameter)
        if (
            isinstance(function, FunctionType)
            and not resolver.is_async
            and len(parameters) == 1
            and any(parameter and parameter.name == parameters[0] for parameter in reserved)
        ):
            return f"{self.constant(_computed(function))}({source})"
        return None

    def global_id(self, name: str, source: str, parent: GraphQLObjectType, depth: int) -> None:
        attribute = _origin(parent).resolve_id_attr()
        self.write(depth, f"{name} = {source}.{attribute}")
        self.write(depth, f"if type({name}) not in {self.constant({int, str, UUID})}:")
        self.write(depth + 1, "raise Surprise")
        text = f'f"{parent.name}:{{{name}}}".encode()'
        self.write(depth, f"{name} = base64({text}, newline=False).decode()")


_GLOBAL_ID: Final = "global id"


def _origin(type_: GraphQLObjectType) -> Any:
    definition = type_.extensions.get("strawberry-definition")
    return definition.origin if isinstance(definition, StrawberryObjectDefinition) else None


def _id_attribute(parent: GraphQLObjectType, field: GraphQLField) -> bool:
    """Whether `id` is nothing but the encoded attribute that `NodeID` marks."""
    origin = _origin(parent)
    leaf: Any = field.type
    leaf = leaf.of_type if isinstance(leaf, GraphQLNonNull) else leaf
    sample = relay.GlobalID("Type", "1")
    return (
        isinstance(origin, type)
        and issubclass(origin, relay.Node)
        and origin.resolve_id.__func__ is _RESOLVE_ID  # type: ignore[attr-defined]
        and origin.resolve_typename.__func__ is _RESOLVE_TYPENAME  # type: ignore[attr-defined]
        and isinstance(leaf, GraphQLScalarType)
        and leaf.coerce_output_value(sample) == str(sample)
    )


def _as_orjson_writes(type_: GraphQLLeafType) -> bool:
    """Whether this scalar writes a UTC time with microseconds as orjson does, which is far faster at it."""
    samples = [
        datetime(year, 12, day, hour, 59, 9, microsecond, UTC)
        for year, day, hour, microsecond in (
            (1, 1, 0, 1),
            (2026, 21, 9, 120_000),
            (9999, 31, 23, 999_999),
        )
    ]
    try:
        return all(
            orjson.dumps(type_.coerce_output_value(sample)) == orjson.dumps(sample, option=ENCODING)
            for sample in samples
        )
    except Exception:  # noqa: BLE001 # this scalar is for other values
        return False


def _members(type_: GraphQLLeafType) -> dict[int, str]:
    """The GraphQL names of a Python enum's members by their identity; empty for other leaves."""
    kind = getattr(type_, "wrapped_cls", None)
    if not isinstance(type_, GraphQLEnumType) or kind is None:
        return {}
    return {id(member): type_.coerce_output_value(member) for member in kind}
