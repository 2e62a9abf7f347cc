"""Several operations in one request."""

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from domain.identity import Caller
from infra.web.documents import Documents, Limits
from infra.web.operations import Request, RequestRefused
from tests.infra.web.sample import SCHEMA, World
from tests.infra.web.serving import application, client, operations, served

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


async def test_operations_run_one_after_the_other_in_the_time_of_one() -> None:
    world = World()
    batch = [echo("a"), {"query": "{ waits }"}, {"query": "{ listed { id } }"}]
    quick, slow, late = await answered(batch, world, timeout_seconds=0.1)
    assert quick == {"data": {"echo": "a"}}
    assert world.cancelled.is_set()
    for stopped in (slow, late):
        assert stopped["errors"][0]["extensions"]["code"] == "TIMEOUT"
        assert "batch" in stopped["errors"][0]["message"]


async def test_an_operation_has_what_is_left_of_its_batchs_time() -> None:
    served_ = operations(World())
    prepared = served_.prepare(Request("{ waits }"), Caller(None, "r"))
    async with asyncio.timeout(5):
        with pytest.raises(RequestRefused, match="batch took longer"):
            await served_.answer(prepared, asyncio.get_running_loop().time() + 0.01)


async def answered(body: Any, world: World, **options: Any) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = (await send(body, world=world, **options)).json()
    return answers


class Slow:
    """A schema's mutation and query that tell when they begin, and go on when they are told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.ended: list[str] = []

    async def run(self, name: str) -> str:
        self.begun.set()
        await self.go_on.wait()
        self.ended.append(name)
        return name


async def left(monkeypatch: pytest.MonkeyPatch, *batch: str) -> list[str]:
    """What was run to its end of a batch whose client leaves while the first is under way."""
    slow = Slow()
    for type_, field in (("Mutation", "rename"), ("Query", "echo")):
        fields: Any = SCHEMA.type_map[type_]
        monkeypatch.setattr(
            fields.fields[field], "resolve", lambda _, info, **given: slow.run(info.field_name)
        )
    over = asyncio.Event()
    app = application()

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        if scope["type"] == "http":
            over.set()

    async with served(watched) as url, httpx.AsyncClient() as http:
        asking = asyncio.create_task(
            http.post(f"{url}/graphql", json=[{"query": query} for query in batch])
        )
        async with asyncio.timeout(5):
            await slow.begun.wait()
            asking.cancel()
            await asyncio.wait({asking})
            await http.aclose()
            if batch[0].startswith("mutation"):
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.2)  # in which one that is given up ends
                assert not over.is_set()
                slow.go_on.set()
            await over.wait()
    return slow.ended


RENAME = 'mutation { rename(name: "a") }'
ECHO = '{ echo(text: "a") }'


async def test_a_batch_nobody_waits_for_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await left(monkeypatch, ECHO, RENAME) == []


async def test_a_mutation_under_way_is_ended_and_nothing_after_it_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await left(monkeypatch, RENAME, RENAME, ECHO) == ["rename"]


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
