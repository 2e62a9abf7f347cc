"""GraphQL over HTTP: the rules of the draft, and of the audits that clients run."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from loguru import logger

from infra.web.documents import Limits
from infra.web.metrics import Metrics
from tests.infra.web.sample import World, page, tick
from tests.infra.web.serving import application, client, served

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"


async def post(
    body: Any, accept: str | None = GRAPHQL, app: Any = None, **headers: str
) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    sent = {"content-type": JSON, **headers} | ({"accept": accept} if accept else {})
    async with client(app or application()) as http:
        if accept is None:
            del http.headers["accept"]
        return await http.post("/graphql", content=content, headers=sent)


async def get(accept: str = GRAPHQL, **parameters: str) -> httpx.Response:
    async with client(application()) as http:
        headers = {"accept": accept, "x-penstock-preflight": "1"}
        return await http.get("/graphql", params=parameters, headers=headers)


def code(response: httpx.Response) -> str:
    body = response.json()
    assert "data" not in body
    return str(body["errors"][0]["extensions"]["code"])


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (GRAPHQL, GRAPHQL),
        (JSON, JSON),
        ("*/*", GRAPHQL),
        ("application/*", GRAPHQL),
        (None, GRAPHQL),
        (f"{GRAPHQL}, {JSON};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.5, {JSON}", JSON),
        ("application/json, text/plain, */*", JSON),
        (f"{JSON}; charset=utf-8", JSON),
        (
            f"{GRAPHQL}, application/graphql+json, {JSON}, text/event-stream, multipart/mixed",
            GRAPHQL,
        ),
    ],
)
async def test_the_answer_has_the_media_type_wanted_most(accept, media):
    response = await post({"query": "{ __typename }"}, accept)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{media}; charset=utf-8"
    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("accept", ["text/html", "application/xml", f"{GRAPHQL};q=0, image/*"])
async def test_what_nobody_can_send_is_not_acceptable(accept):
    response = await post({"query": "{ __typename }"}, accept)
    assert response.status_code == 406
    assert GRAPHQL in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "no body"),
        (b'{ "not a JSON', 400, "no JSON"),
        (b"\xff\xfe", 400, "no JSON"),
        ([], 422, "empty"),
        (["text"], 422, "a string"),
        ([{"query": 7}], 422, "`query`"),
        ("text", 422, "a string"),
        (None, 422, "null"),
        ({"notquery": "{ __typename }"}, 422, "`query`"),
        ({"query": {"obj": "ect"}}, 422, "`query`"),
        ({"query": 0}, 422, "`query`"),
        ({"query": False}, 422, "`query`"),
        ({"query": ["array"]}, 422, "`query`"),
        ({"query": "{ __typename }", "operationName": 0}, 422, "`operationName`"),
        ({"query": "{ __typename }", "operationName": ["a"]}, 422, "`operationName`"),
        ({"query": "{ __typename }", "variables": "string"}, 422, "`variables`"),
        ({"query": "{ __typename }", "variables": [7]}, 422, "a list"),
        ({"query": "{ __typename }", "extensions": False}, 422, "`extensions`"),
        ({"query": "{"}, 400, "Syntax Error"),
        ({"query": "{ nothing }"}, 422, "nothing"),
        ({"query": "query A { __typename } query B { __typename }"}, 422, "operation name"),
        ({"query": "{ __typename }", "operationName": "B"}, 422, "'B'"),
        ({"query": "query Q($t: String!) { echo(text: $t) }"}, 422, "$t"),
        ({"query": "query Q($t: String!) { echo(text: $t) }", "variables": {"t": 5}}, 422, "$t"),
    ],
)
@pytest.mark.parametrize("accept", [GRAPHQL, JSON])
async def test_a_request_that_cannot_be_executed_is_refused_by_name(body, status, says, accept):
    content = b"null" if body is None else body
    response = await post(content, accept)
    assert response.status_code == status
    # The draft: only a success may call itself plain JSON.
    assert response.headers["content-type"] == f"{GRAPHQL}; charset=utf-8"
    assert code(response) == "BAD_USER_INPUT"
    assert says in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("name", ["variables", "operationName", "extensions"])
@pytest.mark.parametrize("accept", [GRAPHQL, JSON])
async def test_optional_parameters_may_be_null(name, accept):
    response = await post({"query": "{ __typename }", name: None}, accept)
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_variables_and_the_operation_reach_execution():
    response = await post(
        {
            "query": "query A { failing } query B($t: String!) { echo(text: $t, times: 2) }",
            "operationName": "B",
            "variables": {"t": "ü\u2028"},
            "extensions": {"some": "value"},
        }
    )
    assert response.json() == {"data": {"echo": "ü\u2028ü\u2028"}}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=latin-1",
    ],
)
async def test_a_body_no_preflight_guards_is_refused(content_type):
    response = await post({"query": "{ __typename }"}, **{"content-type": content_type})
    assert response.status_code == 415
    assert code(response) == "BAD_USER_INPUT"


async def test_json_in_utf8_and_uncompressed_is_taken():
    body = {"query": "{ __typename }"}
    assert (await post(body, **{"content-type": 'Application/JSON; charset="UTF-8"'})).is_success
    assert (await post(body, **{"content-encoding": "gzip"})).status_code == 415


async def test_queries_may_come_by_get():
    response = await get(
        query='query Q($n: Int) { echo(text: "a", times: $n) }', variables='{"n":2}'
    )
    assert response.json() == {"data": {"echo": "aa"}}
    assert (await get(query="{ __typename }", operationName="", variables="")).is_success


@pytest.mark.parametrize(
    ("parameters", "status", "says"),
    [
        ({}, 422, "`query`"),
        ({"query": "{ __typename }", "variables": "{"}, 400, "`variables`"),
        ({"query": "{ __typename }", "variables": "[]"}, 422, "`variables`"),
        ({"query": "{ __typename }", "operationName": "null"}, 422, "'null'"),
    ],
)
async def test_what_is_wrong_in_a_url_is_named(parameters, status, says):
    response = await get(**parameters)
    assert response.status_code == status
    assert says in response.json()["errors"][0]["message"]


async def test_mutations_need_post():
    response = await get(query='mutation { rename(name: "x") }')
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert (await post({"query": 'mutation { rename(name: "x") }'})).json() == {
        "data": {"rename": "x"}
    }


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_not_allowed(method):
    async with client(application()) as http:
        response = await http.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


async def test_a_body_past_the_limit_is_refused_while_it_is_read():
    app = application(body_limit=100)
    body = {"query": "{ __typename }", "extensions": {"filler": "x" * 100}}
    assert (await post(body, app=app)).status_code == 413

    async def endless() -> Any:
        yield b'{"query": "'
        while True:
            yield b"x" * 60

    async with client(app) as http:
        response = await http.post(
            "/graphql", content=endless(), headers={"content-type": JSON, "accept": GRAPHQL}
        )
    assert response.status_code == 413


async def test_a_result_with_errors_is_still_a_success():
    response = await post({"query": "{ optional { id } a: failing }"}, app=application())
    assert response.status_code == 200
    assert response.json()["data"] is None


async def test_bugs_are_masked_behind_the_request_id_and_logged():
    lines: list[Any] = []
    sink = logger.add(lambda message: lines.append(message.record), level="ERROR")
    try:
        response = await post(
            {"query": "query Broken { failing }"}, **{"x-request-id": "request-7"}
        )
    finally:
        logger.remove(sink)
    assert response.json()["errors"] == [
        {
            "message": "Internal error",
            "locations": [{"line": 1, "column": 16}],
            "path": ["failing"],
            "extensions": {"code": "INTERNAL", "requestId": "request-7"},
        }
    ]
    assert "secret" not in response.text
    (record,) = lines
    assert record["extra"] == {"request_id": "request-7", "operation": "Broken"}
    assert record["exception"].type is RuntimeError


async def test_values_that_break_their_type_are_ours_and_masked():
    app = application(World(listed=[tick(count="seven")]))
    error = (await post({"query": "{ listed { count } }"}, app=app)).json()["errors"][0]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "seven" not in error["message"]


async def test_a_foreign_global_id_is_the_clients_mistake():
    response = await post({"query": '{ echo(text: "a", id: "nonsense") }'})
    error = response.json()["errors"][0]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["path"] == ["echo"]


async def test_too_complex_documents_are_refused():
    app = application(limits=Limits(cost=10))
    response = await post({"query": "{ listed { id } }"}, app=app)
    assert response.status_code == 422
    assert code(response) == "QUERY_TOO_COMPLEX"


async def test_an_operation_that_takes_too_long_is_stopped():
    world = World()
    response = await post({"query": "{ waits }"}, app=application(world, timeout_seconds=0.05))
    assert response.status_code == 504
    assert code(response) == "TIMEOUT"
    assert world.cancelled.is_set()


async def test_a_query_nobody_waits_for_is_cancelled():
    world = World()
    metrics = Metrics()
    async with served(application(world, metrics=metrics)) as url, httpx.AsyncClient() as http:
        request = http.post(f"{url}/graphql", json={"query": "{ waits }"}, timeout=0.2)
        with pytest.raises(httpx.ReadTimeout):
            await request
        await http.aclose()
        async with asyncio.timeout(5):
            await world.cancelled.wait()


async def test_a_page_over_a_real_socket():
    world = World(ticks=page([tick(number) for number in range(1000)]))
    query = "{ ticks(first: 1000) { edges { node { id price data } } } }"
    async with served(application(world)) as url, httpx.AsyncClient() as http:
        response = await http.post(f"{url}/graphql", json={"query": query})
    edges = response.json()["data"]["ticks"]["edges"]
    assert len(edges) == 1000
    assert edges[999]["node"]["price"] == "0.1234567891234567"
    assert b'"data":{"p": "1.50", "n": 1.0}' in response.content


async def test_queries_may_be_streamed_as_events():
    response = await post({"query": "{ __typename }"}, "text/event-stream")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text == (
        'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata: \n\n'
    )


async def test_subscriptions_need_a_streaming_type():
    response = await post({"query": "subscription { ticks { id } }"})
    assert response.status_code == 406
    assert "text/event-stream" in response.json()["errors"][0]["message"]
