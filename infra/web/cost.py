"""How deep an operation goes and what it costs: every field 1, times the items of the lists around it.

A list counts its selection once for each item it may have: as many as `first` or `last` says, on the list
itself or on the connection whose list it is, else 50. Introspection and `__typename` are free; a field
counts even where `@skip` or `@include` may leave it out.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from domain.paging import PAGE_LIMIT, PAGE_SIZE

PAGE_ARGUMENTS: Final = ("first", "last")
REMEMBERED: Final = 64


def too_complex(message: str, *nodes: Any) -> GraphQLError:
    """The error of a document that asks too much."""
    return GraphQLError(message, list(nodes), extensions={"code": "QUERY_TOO_COMPLEX"})


class Costs:
    """Depths and costs of one valid document's operations."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._operations: dict[str | None, OperationDefinitionNode] = {}
        self._depths: dict[str, int] = {}
        self._sizing: dict[str | None, tuple[str, ...]] = {}
        self._known: dict[tuple[Any, ...], int | GraphQLError] = {}
        for definition in document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                self._fragments[definition.name.value] = definition
            elif isinstance(definition, OperationDefinitionNode):
                name = definition.name.value if definition.name else None
                self._operations[name] = definition

    def check_depth(self, limit: int) -> GraphQLError | None:
        """What to say of an operation whose fields nest deeper than `limit`."""
        for operation in self._operations.values():
            depth = self._depth(operation.selection_set)
            if depth > limit:
                return too_complex(
                    f"Fields nest {depth} deep; at most {limit} is allowed", operation
                )
        return None

    def cost(
        self, operation_name: str | None, variables: Mapping[str, Any], limit: int
    ) -> int | GraphQLError:
        """What the operation costs with these variables, or what to say if that is more than `limit`."""
        operation = self._operation(operation_name)
        if operation is None:
            return 0  # execution says which operations there are
        given = _integers(operation, variables)
        key = (operation_name, limit, *given.items())
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._judge(operation, given, limit)
        return known

    def _judge(
        self, operation: OperationDefinitionNode, variables: Mapping[str, int], limit: int
    ) -> int | GraphQLError:
        root = self._schema.get_root_type(operation.operation)
        if root is None:
            return 0
        count = _Count(self._schema, self._fragments, variables, limit)
        try:
            count.add(operation.selection_set, root, 1, None, set())
        except _TooMuchError:
            return too_complex(
                f"The operation costs more than {limit}; ask for smaller pages or fewer fields",
                operation,
            )
        return limit - count.left

    def _operation(self, name: str | None) -> OperationDefinitionNode | None:
        if name is not None:
            return self._operations.get(name)
        return next(iter(self._operations.values())) if len(self._operations) == 1 else None

    def _depth(self, selections: SelectionSetNode) -> int:
        deepest = 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                below = node.selection_set
                if node.name.value.startswith("__"):
                    continue
                depth = 1 + (self._depth(below) if below else 0)
            elif isinstance(node, FragmentSpreadNode):
                depth = self._fragment_depth(node.name.value)
            elif isinstance(node, InlineFragmentNode):
                depth = self._depth(node.selection_set)
            deepest = max(deepest, depth)
        return deepest

    def _fragment_depth(self, name: str) -> int:
        if name not in self._depths:
            self._depths[name] = self._depth(self._fragments[name].selection_set)
        return self._depths[name]


class _TooMuchError(Exception):
    """The count passed its limit."""


class _Count:
    """Counts until it passes the limit, so that no document takes long to count."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, int],
        limit: int,
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self.left = limit

    def add(
        self,
        selections: SelectionSetNode,
        parent: GraphQLNamedType,
        items: int,
        page: int | None,
        spread: set[str],
    ) -> None:
        """Count a selection that is taken from `items` objects, each a page of `page` if it is one."""
        for node in selections.selections:
            if isinstance(node, FieldNode):
                self._field(node, parent, items, page)
                continue
            fragment: FragmentDefinitionNode | InlineFragmentNode
            if isinstance(node, FragmentSpreadNode):
                # A fragment is collected once in a selection, however often it is spread.
                if node.name.value in spread:
                    continue
                spread.add(node.name.value)
                fragment = self._fragments[node.name.value]
            elif isinstance(node, InlineFragmentNode):
                fragment = node
            condition = fragment.type_condition
            type_ = self._schema.get_type(condition.name.value) if condition else None
            self.add(fragment.selection_set, type_ or parent, items, page, spread)

    def _field(
        self, node: FieldNode, parent: GraphQLNamedType, items: int, page: int | None
    ) -> None:
        if node.name.value.startswith("__"):
            return
        self.left -= items
        if self.left < 0:
            raise _TooMuchError
        definition = self._schema.get_field(parent, node.name.value)  # type: ignore[arg-type]
        if node.selection_set is None or definition is None:
            return
        size = self._size(definition, node)
        type_: Any = definition.type
        is_list = False
        while isinstance(type_, GraphQLNonNull | GraphQLList):
            if isinstance(type_, GraphQLList):
                items *= size or page or PAGE_SIZE
                is_list = True
            type_ = type_.of_type
        self.add(node.selection_set, type_, items, None if is_list else size, set())

    def _size(self, definition: GraphQLField, node: FieldNode) -> int | None:
        """How many items a paged field may give; None when it takes no page arguments."""
        if not any(name in definition.args for name in PAGE_ARGUMENTS):
            return None
        sizes = list(self._sizes(node))
        if not sizes:
            defaults = [
                definition.args[name].default_value
                for name in PAGE_ARGUMENTS
                if name in definition.args
            ]
            sizes = [size for size in defaults if isinstance(size, int)]
        return min(max(max(sizes, default=PAGE_SIZE), 1), PAGE_LIMIT)

    def _sizes(self, node: FieldNode) -> Iterator[int]:
        for argument in node.arguments or ():
            if argument.name.value not in PAGE_ARGUMENTS:
                continue
            if isinstance(argument.value, IntValueNode):
                yield int(argument.value.value)
            elif isinstance(argument.value, VariableNode):
                value = self._variables.get(argument.value.name.value)
                if value is not None:
                    yield value


def _integers(operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, int]:
    """The operation's whole-number variables, given or by default: those a page may be sized with."""
    integers: dict[str, int] = {}
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        value = variables.get(name)
        if name not in variables and isinstance(definition.default_value, IntValueNode):
            value = int(definition.default_value.value)
        if isinstance(value, int | float) and value == value // 1:  # GraphQL takes 1000.0 as an Int
            integers[name] = min(max(int(value), 1), PAGE_LIMIT)
    return integers
