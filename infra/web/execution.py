"""GraphQL execution: graphql-core's, with selections of plain fields completed by compiled functions."""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution import ExecutionResult
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.executor import CollectedErrors, Executor
from graphql.pyutils import Path

from infra.web.compiling import ENCODING
from infra.web.selections import Selections

FormatErrors: TypeAlias = Callable[[Sequence[GraphQLError]], list[dict[str, Any]]]


class ResolveInfo(NamedTuple):
    """What Strawberry's `Info` reads; graphql-core's, with the variables as a plain dict."""

    field_name: str
    field_nodes: list[FieldNode]
    return_type: GraphQLOutputType
    parent_type: GraphQLObjectType
    path: Path
    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    root_value: Any
    operation: OperationDefinitionNode
    variable_values: dict[str, Any]
    context: Any
    is_awaitable: Callable[[Any], bool]
    abort_signal: Any
    async_helpers: Any
    operation_extensions: dict[str, Any] | None


class OrdinaryExecutor(Executor[None]):
    """graphql-core's executor, in the shape Strawberry's resolvers expect."""

    operation_extensions: dict[str, Any] | None = None

    def build_per_event_executor(self, payload: Any) -> "OrdinaryExecutor":
        """A copy for one event, with memory of its own: the shared one would grow with every event."""
        executor = object.__new__(type(self))
        executor.__dict__.update(self.__dict__)
        executor.root_value = payload
        executor.collected_errors = CollectedErrors()
        executor._relevant_sub_fields = {}
        return executor

    def build_resolve_info(
        self,
        field_def: GraphQLField,
        field_nodes: list[FieldNode],
        parent_type: GraphQLObjectType,
        path: Path,
    ) -> GraphQLResolveInfo[Any]:
        """The info of a field, in the shape Strawberry reads."""
        info = ResolveInfo(
            field_nodes[0].name.value,
            field_nodes,
            field_def.type,
            parent_type,
            path,
            self.schema,
            self.fragment_definitions,
            self.root_value,
            self.operation,
            self.variable_values.coerced,
            self.context_value,
            self.is_awaitable,
            self.abort_signal,
            self.async_helpers,
            self.operation_extensions,
        )
        return cast("GraphQLResolveInfo[Any]", info)


class PlainFieldsExecutor(OrdinaryExecutor):
    """Completes what consists of plain fields in one go; all else, or all without `selections`, goes as ever.

    `selections` are those of the document executed. A type's `is_type_of` and a resolver that takes only its
    parent must depend on that value alone: the info given to the first is that of the outermost field.
    """

    selections: Selections | None = None
    variant: tuple[Any, ...] = ()

    @classmethod
    def build(
        cls,
        schema: GraphQLSchema,
        document: DocumentNode,
        *args: Any,
        selections: Selections | None = None,
        **options: Any,
    ) -> "list[GraphQLError] | PlainFieldsExecutor":
        """An executor, or why there cannot be one."""
        executor = super().build(schema, document, *args, **options)
        if not isinstance(executor, PlainFieldsExecutor):
            return cast("list[GraphQLError]", executor)
        if selections is not None and not executor.middleware_manager:
            executor.selections = selections
            executor.variant = selections.variant(executor.variable_values.coerced)
        return executor

    def complete_list_value(
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: AsyncIterable[Any] | Iterable[Any],
        position_context: None,
    ) -> Any:
        """A list, in one go when its items are plain."""
        if self.selections is not None and (type(result) is list or type(result) is tuple):
            complete = self.selections.find(self, self.variant, return_type, field_details_list)
            if complete is not None:
                try:
                    return complete(result, info)
                except Exception:  # noqa: BLE001 # the ordinary path meets it again and reports it in its place
                    self.selections.surprises += 1
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: None,
    ) -> Any:
        """An object, in one go when it is plain."""
        if self.selections is not None:
            complete = self.selections.find(self, self.variant, return_type, field_details_list)
            if complete is not None:
                try:
                    return complete(result, info)
                except Exception:  # noqa: BLE001 # as above
                    self.selections.surprises += 1
        return super().complete_object_value(
            return_type, field_details_list, info, path, result, position_context
        )


def encode(
    result: ExecutionResult,
    format_errors: FormatErrors,
    extensions: Mapping[str, Any] | None = None,
) -> bytes:
    """A result as JSON: `data`, and `errors` as `format_errors` writes them, if there are any."""
    payload: dict[str, Any] = {"data": result.data}
    if result.errors:
        payload["errors"] = format_errors(result.errors)
    if extensions:
        payload["extensions"] = extensions
    try:
        return orjson.dumps(payload, option=ENCODING)
    except TypeError as error:
        unencodable = GraphQLError("The result cannot be encoded", original_error=error)
        errors = format_errors([*(result.errors or ()), unencodable])
        return orjson.dumps({"data": None, "errors": errors})


def execute_event(
    executor: Executor[Any], event: Any, format_errors: FormatErrors
) -> bytes | Awaitable[bytes]:
    """A subscription's event, executed and encoded; awaitable only when one of its fields is."""
    result = executor.build_per_event_executor(event).execute_operation(False)
    if isinstance(result, ExecutionResult):
        return encode(result, format_errors)
    return _encode_later(cast("Awaitable[ExecutionResult]", result), format_errors)


async def _encode_later(result: Awaitable[ExecutionResult], format_errors: FormatErrors) -> bytes:
    return encode(await result, format_errors)
