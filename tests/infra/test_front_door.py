"""The front door of a process in production, behind a proxy, as its users and its operators meet it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")
SIGN_IN = """
mutation Try($email: String!) {
  signIn(input: {email: $email, password: "no password of anybody"}) { __typename }
}
"""
TRUSTED = "query Trusted { viewer { permissions } }"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(
    shared_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    directory: Path = tmp_path_factory.mktemp("door")
    documents = directory / "persisted-documents.json"
    documents.write_bytes(orjson.dumps({"7e57": TRUSTED}))
    async with Service(
        directory,
        database_url=shared_database_url,
        environment="production",
        rate_limits=True,
        sign_ins_per_minute=3,
        trusted_documents=documents,
        trusted_proxies="127.0.0.1",
        allowed_hosts="api.example.com",
        metrics_port=0,
        metrics_token="only operators know",
    ) as service:
        yield service


async def post(door: Service, body: Any, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.post(f"{door.url}/graphql", json=body, headers=headers)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["errors"][0]["extensions"]["code"])


async def test_production_tells_nothing_of_its_schema(door: Service) -> None:
    about = await post(door, {"query": "{ __schema { types { name } } }"})
    assert code(about) == "INTROSPECTION_DISABLED"
    misspelt = await post(door, {"query": "{ viewr { permissions } }"})
    assert misspelt.json()["errors"][0]["message"] == "Cannot query field 'viewr' on type 'Query'."
    async with httpx.AsyncClient() as http:
        page = await http.get(f"{door.url}/graphql", headers={"accept": "text/html"})
    assert page.status_code == 406


async def test_production_answers_by_its_names_over_https_alone(door: Service) -> None:
    named = await post(door, {"query": "{ __typename }"}, host="api.example.com")
    assert named.headers["strict-transport-security"]
    other = await post(door, {"query": "{ __typename }"}, host="evil.example")
    assert (other.status_code, code(other)) == (403, "FORBIDDEN")


async def test_a_trusted_document_answers_with_what_it_cost(door: Service) -> None:
    answer = await post(
        door, {"documentId": "7e57"}, **{"x-penstock-cost": "true"} | door.credential
    )
    assert "READ_DATA" in answer.json()["data"]["viewer"]["permissions"]
    cost = answer.json()["extensions"]["cost"]
    assert cost["requested"] == 2
    assert cost["remaining"] < cost["budget"]
    assert answer.headers["ratelimit"].startswith('"queries";r=')


async def test_who_tries_passwords_waits_and_nobody_else(door: Service) -> None:
    body = {"query": SIGN_IN, "variables": {"email": "somebody@example.com"}}

    async def tried(address: str) -> int:
        answer = await post(door, body, **{"x-forwarded-for": address})
        if answer.status_code == 429:
            assert code(answer) == "RATE_LIMITED"
            assert int(answer.headers["retry-after"]) > 0
        return answer.status_code

    assert [await tried("198.51.100.7") for _ in range(5)] == [200, 200, 200, 429, 429]
    assert await tried("203.0.113.1, 198.51.100.7") == 429
    assert await tried("198.51.100.8") == 200


async def test_metrics_have_a_port_of_their_own_and_ask_for_their_token(door: Service) -> None:
    await post(door, {"documentId": "7e57"}, **door.credential)
    found = re.search(r"Metrics are at (\S+)", door.log.read_text())
    assert found
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{door.url}/metrics")).status_code == 404
        assert (await http.get(found[1])).status_code == 401
        token = {"authorization": "Bearer only operators know"}
        text = (await http.get(found[1], headers=token)).text
    assert 'penstock_named_operations_total{name="Trusted",outcome="ok",type="query"}' in text
    for name in ("connectors", "pool_connections", "deliveries_total", "writer_batches_total"):
        assert f"penstock_{name}" in text
