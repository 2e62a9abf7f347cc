"""Answers to operations that ask about the schema alone: slow to work out, and the same for everyone."""

import asyncio
from collections import OrderedDict
from hashlib import sha256
from typing import Any, Final, cast

import orjson
from graphql import (
    ExecutionResult,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationType,
    SelectionSetNode,
)
from graphql.execution import Executor

from infra.web.compiling import ENCODING

ABOUT_SCHEMA: Final = frozenset({"__schema", "__type"})


class Introspection:
    """Works answers out beside the event loop, one at a time, and keeps the `count` last used."""

    def __init__(self, count: int = 16, answer_bytes: int = 1024 * 1024) -> None:
        self._count = count
        self._answer_bytes = answer_bytes
        self._answers: OrderedDict[bytes, ExecutionResult] = OrderedDict()
        self._working = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    async def answer(self, query: str, executor: Executor[Any]) -> ExecutionResult:
        """The result of an operation that `asks_about_schema`, its data encoded already."""
        name = executor.operation.name
        asked = (query, name and name.value, executor.variable_values.coerced)
        key = sha256(repr(asked).encode()).digest()
        if key not in self._answers:
            async with self._working:
                if key not in self._answers:
                    result, size = await asyncio.to_thread(_encoded, executor)
                    if result.errors or size > self._answer_bytes:
                        return result
                    self._answers[key] = result
                    if len(self._answers) > self._count:
                        self._answers.popitem(last=False)
        self._answers.move_to_end(key)
        return self._answers[key]


def asks_about_schema(executor: Executor[Any]) -> bool:
    """Whether a query asks about the schema and nothing else."""
    if executor.operation.operation is not OperationType.QUERY:
        return False
    asked: set[str] = set()
    waiting: list[SelectionSetNode] = [executor.operation.selection_set]
    while waiting:
        for node in waiting.pop().selections:
            match node:
                case FieldNode() if node.name.value in ABOUT_SCHEMA:
                    asked.add(node.name.value)
                case FieldNode() if node.name.value != "__typename":
                    return False
                case InlineFragmentNode():
                    waiting.append(node.selection_set)
                case FragmentSpreadNode():
                    fragment = executor.fragments[node.name.value]
                    waiting.append(fragment.definition.selection_set)
    return bool(asked)


def _encoded(executor: Executor[Any]) -> tuple[ExecutionResult, int]:
    result = cast("ExecutionResult", executor.execute_operation())  # no field of these waits
    data = orjson.dumps(result.data, option=ENCODING)
    return ExecutionResult(data=cast("Any", orjson.Fragment(data)), errors=result.errors), len(data)
