"""The front door as settings want it: production, cross-site requests, costs shown, metrics, room for sockets."""

from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from prometheus_client import generate_latest
from websockets.exceptions import ConnectionClosed

from domain.identity import Viewer
from infra.settings import Settings
from infra.startup import CannotRun
from infra.web.counters import Counters
from infra.web.crowd import Crowd
from infra.web.documents import Documents, Limits
from infra.web.front import allowed_hosts, front_door, metrics_beside_api
from infra.web.limits import RateLimits, Rates
from infra.web.metrics import Metrics
from infra.web.routes import create_metrics_web
from tests.infra.clients import dialling
from tests.infra.web.sample import SCHEMA, World
from tests.infra.web.serving import application, client, served

QUERY = {"query": "{ __typename }"}
BROWSER = "text/html,*/*;q=0.8"


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[call-arg]


async def post(app: Any, body: Any, **headers: str) -> httpx.Response:
    async with client(app) as http:
        return await http.post("/graphql", json=body, headers=headers)


def code(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


# In production


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, True),
        ({"environment": "production"}, False),
        ({"environment": "production", "allow_introspection": True}, True),
        ({"allow_introspection": False}, False),
    ],
)
async def test_the_schema_is_told_unless_in_production(given: dict[str, Any], told: bool) -> None:
    app = application(documents=front_door(settings(**given), SCHEMA).documents)
    response = await post(app, {"query": "{ __schema { queryType { name } } }"})
    assert response.is_success is told
    assert told or code(response) == "INTROSPECTION_DISABLED"
    assert (await post(app, QUERY)).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{ optionl { id } }"},
        {"query": '{ echo(txt: "a") }'},
        {"query": "{ optional }"},
        {"query": "{ node { ... on TickVew { id } } }"},
        {"query": "query Q($i: Strin) { echo(text: $i) }"},
        {"query": "query Q($s: Int!) { echo(text: $s) }", "variables": {"s": "x"}},
    ],
)
async def test_production_gives_no_hints_of_what_else_there_is(body: Any) -> None:
    for environment, hinted in (("development", True), ("production", False)):
        front = front_door(settings(environment=environment), SCHEMA)
        app = application(documents=front.documents, hide_suggestions=not front.hints)
        text = (await post(app, body)).text
        assert "errors" in text
        assert hinted or "Did you mean" not in text
        assert hinted or "optional" not in text.replace("'optional'", "")


@pytest.mark.parametrize(
    ("given", "served_"),
    [
        ({}, True),
        ({"environment": "production"}, False),
        ({"environment": "production", "allow_graphiql": True}, True),
        ({"allow_graphiql": False}, False),
    ],
)
async def test_graphiql_is_served_unless_in_production(
    given: dict[str, Any], served_: bool
) -> None:
    app = application(with_graphiql=front_door(settings(**given), SCHEMA).graphiql)
    async with client(app) as http:
        page = await http.get("/graphql", headers={"accept": BROWSER})
        asset = await http.get("/static/graphiql/LICENCES.txt")
    assert (page.status_code == 200) is served_
    assert (asset.status_code == 200) is served_


async def test_production_asks_browsers_for_https_alone() -> None:
    async with client(application(https_alone=True)) as http:
        headers = (await http.get("/healthz")).headers
    assert headers["strict-transport-security"] == "max-age=31536000"
    async with client(application()) as http:
        headers = (await http.get("/healthz")).headers
    assert "strict-transport-security" not in headers
    assert "camera=()" in headers["permissions-policy"]
    assert headers["x-frame-options"] == "DENY"


def test_names_are_asked_for_on_loopback_and_wherever_some_are_given() -> None:
    named = settings(allowed_hosts=["api.example.com"])
    assert allowed_hosts(settings(), loopback=True) == []
    assert allowed_hosts(settings(), loopback=False) is None
    assert allowed_hosts(named, loopback=False) == ["api.example.com"]
    public = settings(public_url="https://penstock.example.com:8443")
    assert allowed_hosts(public, loopback=True) == ["penstock.example.com"]
    assert allowed_hosts(public, loopback=False) is None


@pytest.mark.parametrize(
    ("given", "beside"),
    [
        ({}, True),
        ({"metrics_port": 0}, False),
        ({"environment": "production"}, False),
        ({"environment": "production", "metrics_token": "t"}, True),
    ],
)
def test_production_never_serves_metrics_openly(given: dict[str, Any], beside: bool) -> None:
    assert metrics_beside_api(settings(**given)) is beside


def test_trusted_documents_that_cannot_be_used_keep_the_service_from_starting(
    tmp_path: Path,
) -> None:
    with pytest.raises(CannotRun, match=r"Trusted documents: .*cannot be read"):
        front_door(settings(trusted_documents=tmp_path / "nowhere.json"), SCHEMA)


# Requests by GET


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, False),
        ({"accept": "application/json"}, False),
        ({"content-type": "text/plain"}, False),
        ({"content-type": "multipart/form-data; boundary=x"}, False),
        ({"content-type": "application/json"}, True),
        ({"x-penstock-preflight": "1"}, True),
        ({"apollo-require-preflight": "true"}, True),
        ({"x-apollo-operation-name": "Q"}, True),
        ({"authorization": "Bearer t"}, True),
    ],
)
async def test_by_get_only_those_are_answered_whom_browsers_ask_about_first(
    headers: dict[str, str], taken: bool
) -> None:
    async with client(application()) as http:
        response = await http.get("/graphql", params=QUERY, headers=headers)
    assert response.is_success is taken
    assert taken or (response.status_code, code(response)) == (400, "CSRF_PREVENTED")


async def test_multipart_is_refused_by_name() -> None:
    async with client(application()) as http:
        response = await http.post("/graphql", files={"operations": b"{}"})
    assert response.status_code == 415
    assert "Multipart" in response.json()["errors"][0]["message"]


# Documents by hash


async def test_a_trusted_document_is_served_by_post_get_and_socket(tmp_path: Path) -> None:
    path = tmp_path / "persisted.json"
    path.write_bytes(orjson.dumps({"abc": "query Q($t: String!) { echo(text: $t) }"}))
    front = front_door(settings(trusted_documents=path, trusted_documents_only=True), SCHEMA)
    app = application(documents=front.documents)
    asked = {"documentId": "abc", "variables": {"t": "a"}}
    async with client(app) as http:
        posted = await http.post("/graphql", json=asked)
        got = await http.get(
            "/graphql",
            params={"documentId": "abc", "variables": '{"t":"a"}'},
            headers={"x-penstock-preflight": "1"},
        )
        unknown = await http.post("/graphql", json={"documentId": "abd"})
        other = await http.post("/graphql", json=QUERY)
    assert posted.json() == got.json() == {"data": {"echo": "a"}}
    assert (unknown.status_code, code(unknown)) == (422, "PERSISTED_DOCUMENT_NOT_FOUND")
    assert (other.status_code, code(other)) == (403, "DOCUMENT_NOT_TRUSTED")
    async with served(app) as url, dialling(url, "graphql-transport-ws") as wire:
        await wire.send(type="connection_init")
        await wire.recv()
        await wire.send(type="subscribe", id="1", payload=asked)
        assert (await wire.recv())["payload"] == {"data": {"echo": "a"}}


async def test_apollo_clients_go_on_from_an_unknown_hash_by_sending_the_document() -> None:
    app = application()
    hash_ = sha256(QUERY["query"].encode()).hexdigest()
    asked = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_}}}
    first = await post(app, asked)
    assert (first.status_code, code(first)) == (200, "PERSISTED_QUERY_NOT_FOUND")
    assert first.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    for body in ({**asked, **QUERY}, asked):
        assert (await post(app, body)).json() == {"data": {"__typename": "Query"}}


# Costs


async def test_who_asks_is_shown_what_an_operation_costs() -> None:
    app = application(
        World(),
        documents=Documents(SCHEMA, Limits(cost=1_000)),
        gate=RateLimits(Rates(cost=5_000), Counters()),
        viewer=Viewer(UUID(int=1), user_id=UUID(int=2)),
    )
    body = {"query": "{ listed { id price } }"}
    cost = {"requested": 101, "limit": 1_000, "budget": 5_000, "resetSeconds": 60}
    by_header = await post(app, body, **{"x-penstock-cost": "true"})
    by_extension = await post(app, {**body, "extensions": {"cost": True}})
    assert by_header.json()["extensions"] == {"cost": {**cost, "remaining": 4_899}}
    assert by_extension.json()["extensions"] == {"cost": {**cost, "remaining": 4_798}}
    assert "extensions" not in (await post(app, body)).json()


# Metrics


async def test_metrics_name_operations_codes_paths_and_no_more_names_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("infra.web.metrics.NAMES", 1)
    metrics = Metrics()
    app = application(metrics=metrics)
    for query in ("query First { __typename }", "query Second { __typename }", "{ failing }"):
        await post(app, {"query": query})
    await post(app, {"query": "{"})
    async with client(app) as http:
        await http.get("/somewhere")
    text = generate_latest(metrics.registry).decode()
    named = 'penstock_named_operations_total{name="%s",outcome="%s",type="query"} 1.0'
    for line in (
        named % ("First", "ok"),
        named % ("other", "ok"),
        named % ("other", "errors"),
        'penstock_errors_total{code="INTERNAL"} 1.0',
        'penstock_errors_total{code="BAD_USER_INPUT"} 1.0',
        'penstock_http_requests_total{path="/graphql",status="200"} 3.0',
        'penstock_http_requests_total{path="other",status="404"} 1.0',
    ):
        assert line in text, line


async def test_only_trusted_names_are_counted_where_there_are_some() -> None:
    metrics = Metrics({"Trusted"})
    app = application(metrics=metrics)
    for name in ("Trusted", "Made_up"):
        await post(app, {"query": f"query {name} {{ __typename }}"})
    text = generate_latest(metrics.registry).decode()
    assert 'name="Trusted"' in text
    assert "Made_up" not in text


async def test_metrics_ask_for_their_token_beside_the_api_and_on_their_own_port() -> None:
    for app in (application(metrics_token="t0ken"), create_metrics_web(Metrics(), "t0ken")):
        async with client(app) as http:
            assert (await http.get("/metrics")).status_code == 401
            wrong = await http.get("/metrics", headers={"authorization": "Bearer other"})
            right = await http.get("/metrics", headers={"authorization": "Bearer t0ken"})
        assert wrong.status_code == 401
        assert "process_resident_memory_bytes" in right.text
    async with client(application(with_metrics=False)) as http:
        assert (await http.get("/metrics")).status_code == 404


# Sockets


async def closes(wire: Any) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        await wire.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_there_is_room_for_so_many_sockets_in_all() -> None:
    app = application(sockets={"crowd": Crowd(most=1)})
    protocol = "graphql-transport-ws"
    async with served(app) as url, dialling(url, protocol), dialling(url, protocol) as second:
        assert await closes(second) == (4430, "Too many sockets are open here")


async def test_one_caller_has_room_for_so_many_sockets() -> None:
    crowd, viewer = Crowd(most_of_one=1), Viewer(UUID(int=1), user_id=UUID(int=2))
    app = application(sockets={"crowd": crowd}, viewer=viewer)
    async with served(app) as url, dialling(url, "graphql-transport-ws") as first:
        await first.send(type="connection_init")
        await first.recv()
        async with dialling(url, "graphql-transport-ws") as second:
            await second.send(type="connection_init")
            assert await closes(second) == (4430, "Too many sockets are open for this caller")


async def test_an_address_has_room_for_so_many_sockets_that_do_not_say_whose_they_are() -> None:
    crowd, viewer = Crowd(most_of_one=1), Viewer(UUID(int=1), user_id=UUID(int=2))
    app = application(sockets={"crowd": crowd}, viewer=viewer)
    async with served(app) as url, dialling(url, "graphql-transport-ws") as first:
        async with dialling(url, "graphql-transport-ws") as second:
            assert (await closes(second))[0] == 4430
        await first.send(type="connection_init")
        assert (await first.recv())["type"] == "connection_ack"
        async with dialling(url, "graphql-transport-ws") as third:
            await third.send(type="ping")
            assert (await third.recv())["type"] == "pong"


async def test_streams_of_events_take_room_as_sockets_do() -> None:
    crowd = Crowd(most_of_one=1)
    app = application(
        World(events=[]), crowd=crowd, viewer=Viewer(UUID(int=1), user_id=UUID(int=2))
    )
    asked = {"query": "query { __typename }"}
    with crowd.place() as place:
        place.belongs_to(f"user:{UUID(int=2)}")
        full = await post(app, asked, accept="text/event-stream")
    assert (full.status_code, code(full)) == (429, "RATE_LIMITED")
    assert (await post(app, asked, accept="text/event-stream")).status_code == 200


async def test_a_socket_that_talks_too_fast_is_closed() -> None:
    app = application(sockets={"messages_per_minute": 3})
    async with served(app) as url, dialling(url, "graphql-transport-ws") as wire:
        await wire.send(type="connection_init")
        for _ in range(2):
            await wire.send(type="ping")
        for _ in range(3):
            await wire.recv()
        await wire.send(type="ping")
        assert (await closes(wire))[0] == 4431


async def test_a_socket_has_so_many_operations_at_a_time() -> None:
    app = application(sockets={"operations_per_socket": 1})
    async with served(app) as url, dialling(url, "graphql-transport-ws") as wire:
        await wire.send(type="connection_init")
        await wire.recv()
        await wire.subscribe("1", "{ waits }")
        await wire.subscribe("2", "{ __typename }")
        refused = await wire.recv()
    assert (refused["id"], refused["type"]) == ("2", "error")
    assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
