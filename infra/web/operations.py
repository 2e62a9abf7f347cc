"""From a client's request to bytes: one path for HTTP, WebSocket and SSE."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, cast

from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    OperationType,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution import Executor, create_source_event_stream

from domain.identity import Caller
from infra.realtime.sharing import Encode, Shares
from infra.realtime.streams import Stream
from infra.web.execution import PlainFieldsExecutor, encode, execute_event
from infra.web.introspection import Introspection, asks_about_schema
from infra.web.metrics import Metrics
from infra.web.selections import Document

TIMEOUT_SECONDS: Final = 30.0

FormatErrors = Callable[[Sequence[GraphQLError], str, str | None], list[dict[str, Any]]]

LIST_LIMIT = 20_000


class Documents(Protocol):
    """Parsed and validated documents."""

    def get(
        self, query: str, operation_name: str | None, variables: Mapping[str, Any] | None
    ) -> Document:
        """The document; raises RequestRefused."""

    def cost(
        self, query: str, operation_name: str | None, variables: Mapping[str, Any] | None
    ) -> int:
        """What the operation costs; raises RequestRefused."""

    def resolve(self, request: "Request") -> "Request":
        """The request with the document it names, if it does; raises RequestRefused."""

    def account(self, prepared: "Prepared") -> dict[str, Any]:
        """What an operation costs, as clients read it."""


class Gate(Protocol):
    """What counts operations, and refuses those past a rate."""

    async def admit(self, prepared: "Prepared") -> Sequence[tuple[bytes, bytes]]:
        """Headers that say what is left; raises RequestRefused."""

    async def refused_credential(self, address: str | None) -> None:
        """Count a credential that was no good; raises RequestRefused when an address sent too many."""

    def check_credentials(self, address: str | None) -> None:
        """Raise RequestRefused when an address was told to send no more credentials for now."""

    def check(self, caller: Caller) -> None:
        """Raise RequestRefused when a caller sent too many documents that cannot be executed."""

    def strike(self, caller: Caller) -> None:
        """Count a document that cannot be executed."""


class Followers(Protocol):
    """What counts open subscriptions."""

    def following(self, caller: Caller) -> AbstractContextManager[None]:
        """One subscription more while it lasts; raises RequestRefused when its caller has too many."""


class RequestRefused(Exception):
    """A request that cannot be executed; `errors` says why, per GraphQL, and `headers` more to HTTP clients."""

    def __init__(
        self, errors: Sequence[GraphQLError], headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent; `query` is empty while a hash stands for it."""

    query: str
    operation_name: str | None = None
    variables: Mapping[str, Any] | None = None
    extensions: Mapping[str, Any] | None = field(default=None, hash=False)
    document_id: str | None = None


@dataclass(slots=True)
class Prepared:
    """A request ready to run: parsed, validated, its variables coerced, its caller known.

    `cost` is what it is counted as, `budget` what its viewer has left of that, for those who ask to see it.
    """

    request: Request
    caller: Caller
    executor: Executor[Any]
    cost: int = 0
    show_cost: bool = False
    budget: Mapping[str, Any] | None = None

    @property
    def request_id(self) -> str:
        """What the request is known by."""
        return self.caller.request_id

    @property
    def kind(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.executor.operation.operation

    @property
    def name(self) -> str | None:
        """The operation's own name."""
        name = self.executor.operation.name
        return None if name is None else name.value


class Operations:
    """Prepares, runs and measures operations of one schema."""

    def __init__(
        self,
        schema: GraphQLSchema,
        documents: Documents,
        make_context: Callable[[Caller], object],
        shares: Shares,
        format_errors: FormatErrors,
        metrics: Metrics,
        *,
        compile_plain_fields: bool = True,
        timeout_seconds: float = TIMEOUT_SECONDS,
        gate: Gate | None = None,
        followers: Followers | None = None,
        hide_suggestions: bool = False,
    ) -> None:
        self._schema = schema
        self._documents = documents
        self._make_context = make_context
        self._shares = shares
        self._format_errors = format_errors
        self._metrics = metrics
        self._compile = compile_plain_fields
        self._timeout = timeout_seconds
        self._gate = gate
        self._followers = followers
        self._hide_suggestions = hide_suggestions
        self._introspection = Introspection()

    def prepare(self, request: Request, caller: Caller) -> Prepared:
        """Parse, validate and bind variables; raises RequestRefused."""
        if self._gate:
            self._gate.check(caller)
        request = self._documents.resolve(request)
        try:
            return self._prepared(request, caller)
        except RequestRefused:
            if self._gate:
                self._gate.strike(caller)
            raise

    def _prepared(self, request: Request, caller: Caller) -> Prepared:
        variables = dict(request.variables or {})
        _check_lists(variables, "variables")
        executor = self._executor(request, caller)
        cost = self._documents.cost(request.query, request.operation_name, variables)
        return Prepared(request, caller, executor, cost, _wants_cost(request))

    async def admit(self, prepared: Prepared) -> Sequence[tuple[bytes, bytes]]:
        """Count the operation; gives headers that say what is left, raises RequestRefused past a rate."""
        return await self._gate.admit(prepared) if self._gate else ()

    def check_credentials(self, address: str | None) -> None:
        """Raise RequestRefused when an address was told to send no more credentials for now."""
        if self._gate:
            self._gate.check_credentials(address)

    async def refused_credential(self, address: str | None) -> None:
        """Count a credential that was no good; raises RequestRefused when an address sent too many."""
        if self._gate:
            await self._gate.refused_credential(address)

    def ends(self) -> float:
        """When on the loop's clock the time of what begins now is over."""
        return asyncio.get_running_loop().time() + self._timeout

    def check_time(self, ends: float) -> None:
        """Raise RequestRefused when the time of a batch is over."""
        if asyncio.get_running_loop().time() >= ends:
            raise self._too_long("batch")

    def _too_long(self, what: str) -> RequestRefused:
        message = f"The {what} took longer than {self._timeout:g} s and was stopped"
        return RequestRefused([GraphQLError(message, extensions={"code": "TIMEOUT"})])

    async def answer(self, prepared: Prepared, batch_ends: float | None = None) -> bytes:
        """Run a query or mutation; raises RequestRefused when it takes too long, or breaks beneath GraphQL."""
        with self._metrics.operation(prepared.kind.value, prepared.name) as measured:
            deadline = asyncio.timeout_at(self.ends() if batch_ends is None else batch_ends)
            try:
                async with deadline:
                    result = await self.execute(prepared)
                body = self.encode(prepared, result)
            except Exception as error:
                if deadline.expired():
                    raise self._too_long("operation" if batch_ends is None else "batch") from error
                raise RequestRefused([GraphQLError(str(error), original_error=error)]) from error
            measured.outcome = "errors" if result.errors else "ok"
            return body

    async def execute(self, prepared: Prepared) -> ExecutionResult:
        """Run a query or mutation, however long it takes."""
        if asks_about_schema(prepared.executor):
            return await self._introspection.answer(prepared.request.query, prepared.executor)
        result = prepared.executor.execute_operation()
        if isinstance(result, ExecutionResult):
            return result
        return await cast("Awaitable[ExecutionResult]", result)

    def encode(self, prepared: Prepared, result: ExecutionResult) -> bytes:
        """A result as the client gets it, its internal errors masked."""
        extensions = {"cost": self._documents.account(prepared)} if prepared.show_cost else None
        return encode(result, lambda errors: self.errors(errors, prepared), extensions)

    def errors(
        self, errors: Sequence[GraphQLError], prepared: Prepared | None = None, request_id: str = ""
    ) -> list[dict[str, Any]]:
        """Errors as the client gets them."""
        if prepared is None:
            formatted = self._format_errors(errors, request_id, None)
        else:
            formatted = self._format_errors(errors, prepared.request_id, prepared.name)
        self._metrics.errors(error["extensions"]["code"] for error in formatted)
        return formatted

    async def subscribe(self, prepared: Prepared) -> AsyncGenerator[list[bytes], None]:
        """Encoded events until closed; raises RequestRefused when it cannot start, Stopping with the service."""
        counted = self._followers.following(prepared.caller) if self._followers else nullcontext()
        with counted:
            stream = await _source(prepared.executor)
            encode, shared = self._encoder(prepared), self._shared_encoder(prepared)
            rights = _rights(prepared)
            with self._metrics.operation(prepared.kind.value, prepared.name):
                live = self._shares.subscribe(rights, stream, encode, shared)
                async with aclosing(live) as events:
                    async for payloads in events:
                        yield payloads

    async def again(self, prepared: Prepared, caller: Caller) -> None:
        """Let a subscription go on as its caller is by now; raises RequestRefused when they may not have it."""
        executor = self._executor(prepared.request, caller)
        await _source(executor)
        prepared.caller, prepared.executor = caller, executor

    def _executor(self, request: Request, caller: Caller) -> Executor[Any]:
        variables = dict(request.variables or {})
        document = self._documents.get(request.query, request.operation_name, variables)
        executor = PlainFieldsExecutor.build(
            self._schema,
            document,
            context_value=self._make_context(caller),
            raw_variable_values=variables,
            operation_name=request.operation_name,
            selections=document.selections if self._compile else None,
            hide_suggestions=self._hide_suggestions,
        )
        if isinstance(executor, list):
            raise RequestRefused(executor)
        return executor

    def _encoder(self, prepared: Prepared) -> Encode:
        """Events as the subscriber itself may see them."""

        def encode_event(event: Any) -> bytes | Awaitable[bytes]:
            return execute_event(
                prepared.executor, event, lambda errors: self.errors(errors, prepared)
            )

        return encode_event

    def _shared_encoder(self, prepared: Prepared) -> Encode:
        """Events as all with these rights may see them; only the first subscriber's is ever used."""
        shared: Executor[Any] | None = None

        def encode_event(event: Any) -> bytes | Awaitable[bytes]:
            nonlocal shared
            if shared is None:
                shared = self._executor(prepared.request, _delegate(prepared.caller))
            return execute_event(shared, event, lambda errors: self.errors(errors, prepared))

        return encode_event


async def _source(executor: Executor[Any]) -> Stream:
    started = create_source_event_stream(executor)
    stream = await started if isinstance(started, Awaitable) else started
    if isinstance(stream, ExecutionResult):
        raise RequestRefused(stream.errors or [])
    return cast("Stream", stream)


def _delegate(caller: Caller) -> Caller:
    """Who stands for all that share an execution with this caller."""
    viewer = caller.viewer
    return caller if viewer is None else replace(caller, viewer=viewer.shared)


def _rights(prepared: Prepared) -> Hashable:
    """All that decides the bytes of an event beside the stream's topic."""
    used = _variables_below(prepared.executor)
    variables, viewer = prepared.request.variables or {}, prepared.caller.viewer
    return (
        prepared.request.query,
        prepared.request.operation_name,
        repr(sorted((name, variables[name]) for name in used if name in variables)),
        None if viewer is None else viewer.rights,
    )


def _wants_cost(request: Request) -> bool:
    return (request.extensions or {}).get("cost") is True


def _check_lists(values: Mapping[str, Any], path: str) -> None:
    """Refuse lists that would take the loop a second to coerce before anybody looks at their length."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            _check_lists(value, f"{path}.{name}")
        elif isinstance(value, list) and len(value) > LIST_LIMIT:
            message = f"{path}.{name} has {len(value)} values; at most {LIST_LIMIT} are taken"
            extensions = {"code": "QUERY_TOO_COMPLEX", "field": f"{path}.{name}"}
            raise RequestRefused([GraphQLError(message, extensions=extensions)])


def _variables_below(executor: Executor[Any]) -> set[str]:
    """Variables used anywhere but in the root field's own arguments: those the stream's topic covers."""
    names: set[str] = set()

    class Collect(Visitor):
        def enter_variable(self, node: VariableNode, *_: Any) -> None:
            names.add(node.name.value)

    for selection in executor.operation.selection_set.selections:
        below: list[Node | None] = [selection]
        if isinstance(selection, FieldNode):
            below = [*(selection.directives or ()), selection.selection_set]
        for node in below:
            if node is not None:
                visit(node, Collect())
    for fragment in executor.fragments.values():
        visit(fragment.definition, Collect())
    return names
