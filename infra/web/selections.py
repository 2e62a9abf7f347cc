"""What has been compiled for one document, kept as long as the document is."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    SelectionSetNode,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.executor import Executor

from infra.web.compiling import Complete, Composite, NotPlain, compile_selection

VARIANT_LIMIT: Final = 256


class Selections:
    """The compiled selections of one document, by its nodes and the variables that include or skip."""

    __slots__ = ("_compiled", "_conditions", "compiled", "surprises")

    def __init__(self, conditions: tuple[str, ...] = ()) -> None:
        self._conditions = conditions
        self._compiled: dict[tuple[Any, ...], Complete | None] = {}
        self.compiled = 0
        self.surprises = 0

    def variant(self, variables: dict[str, Any]) -> tuple[Any, ...]:
        """What of the variables decides which fields are collected."""
        return tuple(
            value if type(value := variables.get(name)) is bool else None
            for name in self._conditions
        )

    def find(
        self,
        executor: Executor[Any],
        variant: tuple[Any, ...],
        type_: Composite,
        details: FieldDetailsList,
    ) -> Complete | None:
        """The function for values of `type_` selected by `details`; None when they are not plain."""
        # The nodes live as long as the document, and so do these entries: ids cannot be reused.
        key = (variant, type_, *[id(detail.node) for detail in details])
        try:
            return self._compiled[key]
        except KeyError:
            pass
        if len(self._compiled) >= VARIANT_LIMIT:
            self._compiled.clear()
        try:
            complete = compile_selection(executor, type_, details)
            self.compiled += 1
        except (NotPlain, GraphQLError, RecursionError, SyntaxError):
            complete = None
        self._compiled[key] = complete
        return complete


class Document(DocumentNode):
    """A parsed document with its compiled selections."""

    selections: Selections


def field_names(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[str]:
    """Names of a selection's own fields, once for every time they are asked for, fragments or not."""
    spread: set[str] = set()
    waiting = [selections]
    while waiting:
        for node in waiting.pop().selections:
            match node:
                case FieldNode():
                    yield node.name.value
                case InlineFragmentNode():
                    waiting.append(node.selection_set)
                case FragmentSpreadNode() if node.name.value not in spread:
                    spread.add(node.name.value)
                    if (fragment := fragments.get(node.name.value)) is not None:
                        waiting.append(fragment.selection_set)
