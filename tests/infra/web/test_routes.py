"""Everything around GraphQL: health, metrics, headers, CORS, GraphiQL's page and assets."""

import asyncio
import gzip
import re
from typing import Any

import pytest
from loguru import logger
from prometheus_client import generate_latest

from infra.web.graphiql import Graphiql
from infra.web.health import Health
from infra.web.metrics import Metrics
from infra.web.negotiation import Accept
from tests.infra.clients import dialling
from tests.infra.web.sample import World
from tests.infra.web.serving import application, client, served

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def answers() -> None:
    """A dependency that is well."""


async def hangs() -> None:
    await asyncio.sleep(30)


async def breaks() -> None:
    raise OSError("postgresql://user:secret@host")


async def test_the_process_is_alive_whatever_it_depends_on():
    async with client(application(checks={"database": breaks})) as http:
        response = await http.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


async def test_it_is_ready_when_every_dependency_answers():
    async with client(application(checks={"database": answers, "bus": answers})) as http:
        response = await http.get("/readyz")
    body = response.json()
    assert response.status_code == 200
    assert body["status"] == "ready"
    assert list(body["checks"]) == ["database", "bus"]
    assert body["checks"]["database"]["state"] == "up"
    assert body["checks"]["database"]["latencyMs"] >= 0


async def test_what_is_down_is_named_without_its_secrets():
    checks = {"database": breaks, "bus": hangs, "keys": answers}
    async with client(application(checks=checks)) as http:
        response = await http.get("/readyz")
    states = response.json()["checks"]
    assert response.status_code == 503
    assert states["database"]["problem"] == "OSError"
    assert states["bus"] | {"latencyMs": 0} == {
        "state": "down",
        "latencyMs": 0,
        "problem": "no answer within 0.2 s",
    }
    assert states["keys"]["state"] == "up"
    assert "secret" not in response.text


async def test_many_who_ask_at_once_burden_a_dependency_once():
    asked = 0

    async def slow() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.05)

    async with client(application(checks={"database": slow})) as http:
        responses = await asyncio.gather(*(http.get("/readyz") for _ in range(20)))
        assert {response.status_code for response in responses} == {200}
        assert asked == 1
        await http.get("/readyz")
    assert asked == 2


async def test_a_stopping_process_is_not_ready():
    health = Health({"database": answers})
    async with client(application(health=health)) as http:
        assert (await http.get("/readyz")).status_code == 200
        health.draining = True
        response = await http.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "draining")


async def test_metrics_count_operations_by_type_and_outcome():
    metrics = Metrics()
    metrics.gauge("writer_queue_rows", "Rows that wait to be written.", lambda: 42)
    metrics.counter("shed_messages", "Messages shed.", lambda: 7)
    async with client(application(metrics=metrics)) as http:
        for query in ("{ __typename }", "{ failing }", 'mutation { rename(name: "a") }', "{"):
            await http.post("/graphql", json={"query": query})
        text = (await http.get("/metrics")).text
    assert 'penstock_operations_total{outcome="ok",type="query"} 1.0' in text
    assert 'penstock_operations_total{outcome="errors",type="query"} 1.0' in text
    assert 'penstock_operations_total{outcome="ok",type="mutation"} 1.0' in text
    assert 'penstock_operation_seconds_count{type="query"} 2.0' in text
    assert 'penstock_operations_running{type="query"} 0.0' in text
    assert 'penstock_requests_refused_total{status="400"} 1.0' in text
    assert "penstock_writer_queue_rows 42.0" in text
    assert "penstock_shed_messages_total 7.0" in text
    assert "process_resident_memory_bytes" in text


async def test_metrics_count_operations_on_a_socket():
    metrics, world = Metrics(), World(events=[])
    async with (
        served(application(world, metrics=metrics)) as url,
        dialling(url, "graphql-transport-ws") as wire,
    ):
        await wire.send(type="connection_init")
        await wire.recv()
        for id, query in enumerate(
            ("{ __typename }", "{ failing }", 'mutation { rename(name: "a") }')
        ):
            await wire.subscribe(str(id), query)
            assert (await wire.recv())["type"] == "next"
            assert (await wire.recv())["type"] == "complete"
    text = generate_latest(metrics.registry).decode()
    assert 'penstock_operations_total{outcome="ok",type="query"} 1.0' in text
    assert 'penstock_operations_total{outcome="errors",type="query"} 1.0' in text
    assert 'penstock_operations_total{outcome="ok",type="mutation"} 1.0' in text


async def test_an_operation_on_a_socket_that_takes_too_long_is_stopped():
    world = World()
    async with (
        served(application(world, timeout_seconds=0.05)) as url,
        dialling(url, "graphql-transport-ws") as wire,
    ):
        await wire.send(type="connection_init")
        await wire.recv()
        await wire.subscribe("1", "{ waits }")
        answer = await wire.recv()
    assert answer["type"] == "error"
    assert answer["payload"][0]["extensions"]["code"] == "TIMEOUT"
    assert world.cancelled.is_set()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("client-id-7", True),
        ("x" * 64, True),
        ("short", False),
        ("with space 12", False),
        ("", False),
    ],
)
async def test_a_sane_request_id_is_kept_and_any_other_replaced(given, kept):
    async with client(application()) as http:
        response = await http.get("/healthz", headers={"x-request-id": given})
    assert (response.headers["x-request-id"] == given) is kept
    assert len(response.headers["x-request-id"]) >= 8


@pytest.mark.parametrize("path", ["/healthz", "/graphql?query={__typename}", "/nowhere"])
async def test_every_answer_keeps_browsers_safe(path):
    async with client(application()) as http:
        headers = (await http.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["referrer-policy"] == "no-referrer"


async def test_only_named_origins_may_call_from_pages():
    preflight = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    app = application(cors_origins=["https://app.example.com"])
    async with client(app) as http:
        named = await http.options(
            "/graphql", headers={"origin": "https://app.example.com", **preflight}
        )
        other = await http.options(
            "/graphql", headers={"origin": "https://evil.example.com", **preflight}
        )
        answered = await http.post(
            "/graphql",
            json={"query": "{ __typename }"},
            headers={"origin": "https://app.example.com"},
        )
    assert named.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-origin" not in other.headers
    assert answered.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-credentials" not in answered.headers


async def test_without_settings_no_other_origin_may_call():
    async with client(application()) as http:
        response = await http.get("/healthz", headers={"origin": "https://app.example.com"})
    assert "access-control-allow-origin" not in response.headers


async def test_operations_are_logged_with_name_and_duration_and_slow_ones_warned():
    records: list[Any] = []
    sink = logger.add(lambda message: records.append(message.record), level="DEBUG")
    try:
        for slow_ms in (10_000, 0):
            async with client(application(World(), slow_operation_ms=slow_ms)) as http:
                await http.post("/graphql", json={"query": "query Named { __typename }"})
    finally:
        logger.remove(sink)
    fast, slow = (record for record in records if "/graphql" in record["message"])
    assert (fast["level"].name, slow["level"].name) == ("INFO", "WARNING")
    assert re.fullmatch(r"Slow: POST /graphql query Named 200 in [0-9.]+ ms", slow["message"])
    assert slow["extra"]["operation"] == "Named"


async def test_browsers_get_graphiql_and_programs_get_graphql():
    async with client(application()) as http:
        home = await http.get("/")
        page = await http.get("/graphql", headers={"accept": BROWSER})
        program = await http.get(
            "/graphql", params={"query": "{ __typename }"}, headers={"x-penstock-preflight": "1"}
        )
    assert (home.status_code, home.headers["location"]) == (307, "/graphql")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert program.json() == {"data": {"__typename": "Query"}}


async def test_the_page_names_only_assets_that_are_there_and_nothing_from_elsewhere():
    async with client(application()) as http:
        page = (await http.get("/graphql", headers={"accept": BROWSER})).text
        named = set(re.findall(r"[\w-]+-[A-Z0-9]{8}\.(?:js|css)", page))
        assert len(named) == 5
        for name in named:
            response = await http.get(f"/static/graphiql/{name}")
            assert response.status_code == 200
            assert "immutable" in response.headers["cache-control"]
        assert (await http.get("/static/graphiql/nothing.js")).status_code == 404
    assert not re.search(r"(src|href)=\"(https?:)?//", page)


async def test_assets_are_sent_compressed_only_to_those_who_take_it():
    graphiql = Graphiql()
    name = next(name for name in graphiql.names if name.endswith(".css"))
    async with client(application()) as http:
        packed = await http.get(f"/static/graphiql/{name}", headers={"accept-encoding": "gzip"})
        plain = await http.get(f"/static/graphiql/{name}", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert plain.headers["content-type"].startswith("text/css")


async def test_the_licences_of_what_is_bundled_are_served():
    async with client(application()) as http:
        text = (await http.get("/static/graphiql/LICENCES.txt")).text
    for name in ("graphiql 5", "monaco-editor", "react 19", "graphql-ws"):
        assert name in text
    assert gzip.decompress(gzip.compress(text.encode())) == text.encode()


def test_a_media_type_said_precisely_wins_over_a_pattern():
    accept = Accept.parse("text/*;q=0.3, text/html;q=0.7, */*;q=0.5, broken;q=x")
    assert accept.quality("text/html") == (0.7, 2)
    assert accept.quality("text/plain") == (0.3, 1)
    assert accept.quality("image/png") == (0.5, 0)
    assert accept.best("image/png", "text/html") == "text/html"
    assert Accept.parse("text/html;q=0").best("text/html") is None
