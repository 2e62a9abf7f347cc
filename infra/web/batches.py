"""Several queries and mutations in one HTTP request, answered one after the other in their order."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import orjson
from graphql import GraphQLError, OperationType

from infra.web.operations import Operations, Prepared, Request, RequestRefused

NO_SUBSCRIPTIONS: Final = GraphQLError(
    "A batch takes queries and mutations alone", extensions={"code": "BAD_USER_INPUT"}
)


async def answer_batch(
    operations: Operations,
    requests: Sequence[Request],
    prepare: Callable[[Request], Prepared],
    admit: Callable[[Prepared], Awaitable[None]],
    request_id: str,
) -> bytes:
    """An array of whole GraphQL answers; one that is refused answers for itself alone."""
    answers: list[bytes] = []
    for request in requests:
        try:
            prepared = prepare(request)
            await admit(prepared)
            if prepared.kind is OperationType.SUBSCRIPTION:
                raise RequestRefused([NO_SUBSCRIPTIONS])
            answers.append(await operations.answer(prepared))
        except RequestRefused as refused:
            errors = operations.errors(refused.errors, request_id=request_id)
            answers.append(orjson.dumps({"errors": errors}))
    return b"[" + b",".join(answers) + b"]"
