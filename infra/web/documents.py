"""Parsed and validated documents, kept while there is room, and the limits a document must keep."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
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
from infra.web.operations import Prepared, Request, RequestRefused
from infra.web.selections import Document, Selections, field_names
from infra.web.trusted import PersistedDocuments

CONDITIONS: Final = frozenset({"include", "skip"})
RULES: Final = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
VALIDATION_ERRORS: Final = 50
BYTES_PER_TOKEN: Final = 700
"""What a parsed token takes in memory, with its share of the nodes, measured."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may ask. Aliases and directives are those of one document, root fields those of one operation.

    Questions about the schema cost nothing, so documents that have any may ask them again under few aliases only.
    """

    characters: int = 200_000
    tokens: int = 4_000
    depth: int = 15
    cost: int = 100_000
    aliases: int = 200
    schema_aliases: int = 10
    directives: int = 100
    root_fields: int = 50


_UNTOLD: Final = GraphQLError(
    "Introspection is off here", extensions={"code": "INTROSPECTION_DISABLED"}
)


@dataclass(slots=True)
class _Entry:
    document: Document
    costs: Costs
    size: int


class Documents:
    """The documents of one schema: the most recently used `count` of them and about `size` bytes.

    Without `hints` nothing is said of the schema but that a document does not fit it; without `introspection`
    questions about it are refused.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits | None = None,
        count: int = 1_000,
        size: int = 64 * 1024 * 1024,
        persisted: PersistedDocuments | None = None,
        introspection: bool = True,
        hints: bool = True,
    ) -> None:
        self._schema = schema
        self.limits = limits or Limits()
        self._persisted = PersistedDocuments() if persisted is None else persisted
        self._introspection = introspection
        self._hints = hints
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
        return self._priced(query, operation_name, variables)[0]

    def cost(
        self, query: str, operation_name: str | None, variables: Mapping[str, Any] | None
    ) -> int:
        """What the operation costs with these variables; raises RequestRefused."""
        return self._priced(query, operation_name, variables)[1]

    def _priced(
        self, query: str, operation_name: str | None, variables: Mapping[str, Any] | None
    ) -> tuple[Document, int]:
        entry = self._entries.get(query)
        if entry is None:
            entry = self._load(query)
            self._keep(query, entry)
        else:
            self._entries.move_to_end(query)
        cost = entry.costs.cost(operation_name, variables or {}, self.limits.cost)
        if isinstance(cost, GraphQLError):
            raise RequestRefused([cost])
        return entry.document, cost

    def resolve(self, request: Request) -> Request:
        """The request with the document it names, if it does; raises RequestRefused."""
        return self._persisted.resolve(request)

    def account(self, prepared: Prepared) -> dict[str, Any]:
        """What an operation costs, as clients read it."""
        budget = prepared.budget or {}
        return {"requested": prepared.cost, "limit": self.limits.cost, **budget}

    def _keep(self, query: str, entry: _Entry) -> None:
        self._entries[query] = entry
        self.bytes += entry.size
        while len(self._entries) > self._count or (
            self.bytes > self._size and len(self._entries) > 1
        ):
            _, dropped = self._entries.popitem(last=False)
            self.bytes -= dropped.size

    def _load(self, query: str) -> _Entry:
        if len(query) > self.limits.characters:
            raise RequestRefused([_too_long(self.limits.characters, "characters")])
        try:
            parsed = parse(query, max_tokens=self.limits.tokens)
        except GraphQLSyntaxError as error:
            raise RequestRefused([_syntax_error(error, self.limits.tokens)]) from error
        walk = _Walk()
        visit(parsed, walk)
        excess = walk.check(self.limits)
        if excess is not None:
            raise RequestRefused([excess])
        if walk.about_schema and not self._introspection:
            raise RequestRefused([_UNTOLD])
        errors = validate(
            self._schema,
            parsed,
            RULES,
            max_errors=VALIDATION_ERRORS,
            hide_suggestions=not self._hints,
        )
        if errors:
            raise RequestRefused(errors if self._hints else [_without_hint(e) for e in errors])
        costs = Costs(self._schema, parsed)
        excess = costs.check_depth(self.limits.depth)
        if excess is not None:
            raise RequestRefused([excess])
        document = Document(definitions=parsed.definitions, loc=parsed.loc)
        document.selections = Selections(tuple(sorted(walk.conditions)))
        size = 2 * len(query) + parsed.token_count * BYTES_PER_TOKEN
        return _Entry(document, costs, size)


def _without_hint(error: GraphQLError) -> GraphQLError:
    """The error without what one rule still proposes after it was told not to."""
    message = error.message.partition(" Did you mean ")[0]
    return GraphQLError(message, error.nodes, error.source, error.positions, error.path)


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
        self.directives = 0
        self.about_schema = False
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._operations: list[SelectionSetNode] = []

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self.aliases += node.alias is not None
        self.about_schema |= node.name.value in ABOUT_SCHEMA

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        self._operations.append(node.selection_set)

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Any) -> None:
        self._fragments[node.name.value] = node

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        self.directives += 1
        if node.name.value in CONDITIONS:
            for argument in node.arguments or ():
                if isinstance(argument.value, VariableNode):
                    self.conditions.add(argument.value.name.value)

    def check(self, limits: Limits) -> GraphQLError | None:
        aliases = limits.schema_aliases if self.about_schema else limits.aliases
        if self.aliases > aliases:
            return too_complex(f"{self.aliases} aliases; at most {aliases} are allowed here")
        if self.directives > limits.directives:
            return too_complex(
                f"{self.directives} directives; at most {limits.directives} are allowed"
            )
        for operation in self._operations:
            names = islice(field_names(operation, self._fragments), limits.root_fields + 1)
            if sum(1 for _ in names) > limits.root_fields:
                return too_complex(f"More than {limits.root_fields} root fields are not allowed")
        return None
