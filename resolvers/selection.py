"""What a client selected below a field."""

from collections.abc import Iterable, Iterator
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLResolveInfo,
    InlineFragmentNode,
    SelectionNode,
)
from strawberry import Info


def selected(info: Info, *path: str) -> frozenset[str]:
    """Names of the fields selected at a path below this field, fragments and all (directives are not weighed)."""
    raw: GraphQLResolveInfo[Any] = info._raw_info  # noqa: SLF001  (Strawberry has no other way to the nodes)
    nodes: list[FieldNode] = list(raw.field_nodes)
    for name in path:
        nodes = [node for node in _fields(raw, nodes) if node.name.value == name]
    return frozenset(node.name.value for node in _fields(raw, nodes))


def _fields(info: GraphQLResolveInfo[Any], nodes: Iterable[FieldNode]) -> Iterator[FieldNode]:
    waiting: list[SelectionNode] = []
    for node in nodes:
        waiting += node.selection_set.selections if node.selection_set else ()
    spread: set[str] = set()
    while waiting:
        selection = waiting.pop()
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            waiting += selection.selection_set.selections
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
            spread.add(selection.name.value)
            waiting += info.fragments[selection.name.value].selection_set.selections
