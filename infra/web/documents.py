"""Parsed and validated documents, kept while there is room, and the limits a document must keep."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DirectiveNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    parse,
    validate,
    visit,
)
from graphql.validation import specified_rules
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from infra.web.cost import Costs, too_complex
from infra.web.introspection import ABOUT_SCHEMA
from infra.web.operations import RequestRefused
from infra.web.selections import Document, Selections

CONDITIONS: Final = frozenset({"include", "skip"})
RULES: Final = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
VALIDATION_ERRORS: Final = 50
BYTES_PER_TOKEN: Final = 700
"""What a parsed token takes in memory, with its share of the nodes, measured."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may ask. Aliases are those of one document, root fields those of one operation.

    Questions about the schema cost nothing, so documents that have any may ask them again under few aliases only.
    """

    characters: int = 200_000
    tokens: int = 4_000
    depth: int = 15
    cost: int = 100_000
    aliases: int = 200
    schema_aliases: int = 10
    root_fields: int = 50


@dataclass(slots=True)
class _Entry:
    document: Document
    costs: Costs
    size: int


class Documents:
    """The documents of one schema: the most recently used `count` of them and about `size` bytes."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits | None = None,
        count: int = 1_000,
        size: int = 64 * 1024 * 1024,
    ) -> None:
        self._schema = schema
        self._limits = limits or Limits()
        self._count = count
        self._size = size
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(
        self, query: str, operation_name: str | None, variables: Mapping[str, Any] | None
    ) -> Document:
        """The document, its operation within the limits for these variables; raises RequestRefused."""
        entry = self._entries.get(query)
        if entry is None:
            entry = self._load(query)
            self._keep(query, entry)
        else:
            self._entries.move_to_end(query)
        error = entry.costs.check(operation_name, variables or {}, self._limits.cost)
        if error is not None:
            raise RequestRefused([error])
        return entry.document

    def _keep(self, query: str, entry: _Entry) -> None:
        self._entries[query] = entry
        self.bytes += entry.size
        while len(self._entries) > self._count or (
            self.bytes > self._size and len(self._entries) > 1
        ):
            _, dropped = self._entries.popitem(last=False)
            self.bytes -= dropped.size

    def _load(self, query: str) -> _Entry:
        if len(query) > self._limits.characters:
            raise RequestRefused([_too_long(self._limits.characters, "characters")])
        try:
            parsed = parse(query, max_tokens=self._limits.tokens)
        except GraphQLSyntaxError as error:
            raise RequestRefused([_syntax_error(error, self._limits.tokens)]) from error
        walk = _Walk()
        visit(parsed, walk)
        excess = walk.check(self._limits)
        if excess is not None:
            raise RequestRefused([excess])
        errors = validate(self._schema, parsed, RULES, max_errors=VALIDATION_ERRORS)
        if errors:
            raise RequestRefused(errors)
        costs = Costs(self._schema, parsed)
        excess = costs.check_depth(self._limits.depth)
        if excess is not None:
            raise RequestRefused([excess])
        document = Document(definitions=parsed.definitions, loc=parsed.loc)
        document.selections = Selections(tuple(sorted(walk.conditions)))
        size = 2 * len(query) + parsed.token_count * BYTES_PER_TOKEN
        return _Entry(document, costs, size)


def _syntax_error(error: GraphQLSyntaxError, tokens: int) -> GraphQLError:
    if "tokens. Parsing aborted" in error.message:
        return _too_long(tokens, "tokens")
    return error


def _too_long(limit: int, unit: str) -> GraphQLError:
    return too_complex(f"The document is longer than {limit} {unit}; send long values as variables")


class _Walk(Visitor):
    """What can be told of a document before it is validated, which takes longer the more there is."""

    def __init__(self) -> None:
        super().__init__()
        self.conditions: set[str] = set()
        self.aliases = 0
        self.about_schema = False
        self.root_fields = 0

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self.aliases += node.alias is not None
        self.about_schema |= node.name.value in ABOUT_SCHEMA

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        self.root_fields = max(self.root_fields, _fields(node.selection_set))

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        if node.name.value in CONDITIONS:
            for argument in node.arguments or ():
                if isinstance(argument.value, VariableNode):
                    self.conditions.add(argument.value.name.value)

    def check(self, limits: Limits) -> GraphQLError | None:
        aliases = limits.schema_aliases if self.about_schema else limits.aliases
        if self.aliases > aliases:
            return too_complex(f"{self.aliases} aliases; at most {aliases} are allowed here")
        if self.root_fields > limits.root_fields:
            return too_complex(
                f"{self.root_fields} root fields; at most {limits.root_fields} are allowed"
            )
        return None


def _fields(selections: SelectionSetNode) -> int:
    return sum(isinstance(node, FieldNode) for node in selections.selections)
