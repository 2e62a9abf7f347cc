"""Several queries and mutations in one HTTP request, answered one after the other in their order."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import orjson
from graphql import GraphQLError, OperationType

from infra.web.operations import Operations, Prepared, Request, RequestRefused
from infra.web.waiting import Client

NO_SUBSCRIPTIONS: Final = GraphQLError(
    "A batch takes queries and mutations alone", extensions={"code": "BAD_USER_INPUT"}
)


async def answer_batch(
    operations: Operations,
    requests: Sequence[Request],
    prepare: Callable[[Request], Awaitable[Prepared]],
    client: Client,
    request_id: str,
) -> bytes:
    """An array of whole GraphQL answers, all in the time of one; one that is refused answers for itself alone.

    Raises ConnectionError when the client leaves.
    """
    answers: list[bytes] = []
    ends = operations.ends()
    for request in requests:
        try:
            operations.check_time(ends)
            prepared = await prepare(request)
            if prepared.kind is OperationType.SUBSCRIPTION:
                raise RequestRefused([NO_SUBSCRIPTIONS])
            operations.check_time(ends)
            client.check()
            answers.append(await client.answer(operations.answer(prepared, ends), prepared.kind))
        except RequestRefused as refused:
            errors = operations.errors(refused.errors, request_id=request_id)
            answers.append(orjson.dumps({"errors": errors}))
    return b"[" + b",".join(answers) + b"]"
