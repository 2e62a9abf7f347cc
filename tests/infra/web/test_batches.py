"""Several operations in one request."""

from typing import Any

import httpx

from infra.web.documents import Documents, Limits
from tests.infra.web.sample import SCHEMA, World
from tests.infra.web.serving import application, client

QUERY = {"query": "query Q($t: String!) { echo(text: $t) }"}


def echo(text: str) -> dict[str, Any]:
    return {**QUERY, "variables": {"t": text}}


async def send(body: Any, accept: str = "application/json", **options: Any) -> httpx.Response:
    async with client(application(**options)) as http:
        return await http.post("/graphql", json=body, headers={"accept": accept})


async def test_each_operation_is_answered_in_its_place_and_a_refused_one_for_itself_alone() -> None:
    response = await send(
        [
            echo("a"),
            {"query": "{ nothing }"},
            {"query": 'mutation { rename(name: "b") }'},
            {"query": "{"},
            {"query": "{ failing }"},
            {"query": "subscription { ticks { id } }"},
            echo("c"),
        ]
    )
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    first, unknown, renamed, broken, failing, live, last = response.json()
    assert first == {"data": {"echo": "a"}}
    assert renamed == {"data": {"rename": "b"}}
    assert last == {"data": {"echo": "c"}}
    for refused in (unknown, broken, live):
        assert refused["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert failing["errors"][0]["extensions"]["code"] == "INTERNAL"


async def test_operations_run_one_after_the_other() -> None:
    response = await send([{"query": "{ waits }"}, echo("a")], timeout_seconds=0.05)
    slow, quick = response.json()
    assert slow["errors"][0]["extensions"]["code"] == "TIMEOUT"
    assert quick == {"data": {"echo": "a"}}


async def test_a_batch_past_its_limit_is_refused_whole() -> None:
    assert (await send([echo("a")] * 3, batch_limit=3)).status_code == 200
    response = await send([echo("a")] * 4, batch_limit=3)
    assert response.status_code == 422
    assert response.json()["errors"][0]["extensions"]["code"] == "BATCH_TOO_LARGE"


async def test_a_batch_is_answered_as_json_alone() -> None:
    assert (await send([echo("a")], "text/event-stream")).status_code == 406
    both = "application/graphql-response+json, application/json;q=0.9"
    assert (await send([echo("a")], both)).json() == [{"data": {"echo": "a"}}]


async def test_each_operation_of_a_batch_is_held_to_the_limit_of_cost() -> None:
    documents = Documents(SCHEMA, Limits(cost=60))
    dear = {"query": "{ listed { id } }"}  # 51
    first, second = (await send([dear, dear], world=World(), documents=documents)).json()
    assert first == second == {"data": {"listed": None}}
